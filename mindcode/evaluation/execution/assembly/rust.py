"""Rust: one file compiled by rustc against crates that are built once; its tests are called by a `main` of ours."""

import re
from collections.abc import Iterable
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import DATA, Commands, NotBuiltError, Program, Secret
from mindcode.evaluation.execution.assembly.tools import SYSTEM_PATH, call, find_tool
from mindcode.evaluation.types import Problem

_SOURCES = Path("/usr/share/cargo/registry")
_UNICODE = tuple(f"unicode{part}" for part in ("", "-age", "-bool", "-case", "-gencat", "-perl", "-script", "-segment"))
_CRATES = {
    "md5": ("md5-*", ("std",)),
    "regex_syntax": ("regex-syntax-*", _UNICODE),
    "regex": ("regex-[0-9]*", ("std", *_UNICODE)),
}
"""Name -> folder under the sources, features; in the order in which they are compiled."""
_LINKER = "link-arg=-fuse-ld=bfd"
"""The system's; the one that newer tool chains bring is not found where only root may enter their folder."""
_MAIN = re.compile(r"\bfn\s+main\s*\(\s*\)")
_TEST = re.compile(r"#\[test\](?:\s|//[^\n]*\n)*fn (\w+)")
_MACRO = re.compile(r"(?<![\w:!])(assert(?:_eq|_ne)?|panic|vec|format)!")
_FRAME = """
fn main() {
    let number = {
        let mut line = ::std::string::String::new();
        ::std::io::stdin().read_line(&mut line).unwrap();
        drop(unsafe { <::std::fs::File as ::std::os::unix::io::FromRawFd>::from_raw_fd(0) });
        line.trim().parse::<u64>().unwrap()
    };
    CALLS
    ::std::println!("{}", number ^ KEY);
}
"""


def assemble(problem: Problem, source: str, secret: Secret) -> Program:
    """Return the program: the answer up to a second `main`, its first one renamed, and the tests as plain functions."""
    mains = [match.start() for match in _MAIN.finditer(source)]
    answer = _missing_uses(problem, source[: mains[1]] if len(mains) > 1 else source)
    answer = _MAIN.sub(f"fn {secret.name}_main()", answer)
    tests = problem.test.replace("#[cfg(test)]", "").replace("mod tests", f"mod {secret.name}_tests", 1)
    names = _TEST.findall(tests)
    tests = _MACRO.sub(r"::std::\1!", _TEST.sub(r"pub fn \1", tests))
    calls = " ".join(f"{secret.name}_tests::{name}();" for name in names)
    frame = _FRAME.replace("CALLS", calls).replace("KEY", str(secret.key))
    return Program({"main.rs": f"{answer}\n{tests}\n{frame}"}, secret.key)


def _missing_uses(problem: Problem, answer: str) -> str:
    """Put the declaration's `use` lines in front of an answer that lacks them."""
    lines = [line for line in problem.declaration.splitlines() if line.startswith("use ") and line not in answer]
    return "\n".join([*lines, answer])


def prepare(cache: Path) -> Commands:
    """Compile the crates. Raises NotBuiltError without a compiler or without their sources."""
    compiler = str(Path(call(find_tool("rustc"), "--print", "sysroot").strip()) / "bin" / "rustc")
    for name, (folder, features) in _CRATES.items():
        found = sorted(_SOURCES.glob(folder))
        if not found:
            raise NotBuiltError(f"the source of the crate {name} is not in {_SOURCES}")
        _build(compiler, cache, name, found[-1] / "src" / "lib.rs", features)
    _build(compiler, cache, "rand", DATA / "rand.rs", ())
    crates = _externs(cache, (*_CRATES, "rand"))
    options = ("--edition", "2021", "--cap-lints", "allow", "-C", "debuginfo=0", "-C", _LINKER)
    build = (compiler, *options, *crates, "-L", str(cache), "main.rs", "-o", "program")
    return Commands(run=("./program",), compile=(build,), environment=SYSTEM_PATH)


def _build(compiler: str, cache: Path, name: str, source: Path, features: tuple[str, ...]) -> None:
    flags = [word for feature in features for word in ("--cfg", f'feature="{feature}"')]
    options = ("--crate-type", "rlib", "--edition", "2018", "-O", "--cap-lints", "allow", "-L", str(cache))
    built = [other for other in _CRATES if (cache / f"lib{other}.rlib").exists()]
    used = _externs(cache, built)
    call(compiler, "--crate-name", name, *options, *flags, *used, str(source), "--out-dir", str(cache))


def _externs(cache: Path, names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--extern", f"{name}={cache}/lib{name}.rlib")]
