"""How the BigCode harness judges HumanEvalPack: answer and tests are one program, and its exit code is believed.

passes(problem, program, seconds=20.0)

Written from what is known of the harness: what it puts around an answer, its commands and limits. In place of cargo,
which would ask a registry for crates, rustc builds against those of the judge.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mindcode.evaluation.execution.caches import commands_of
from mindcode.evaluation.types import Problem

_IMPORTS = (
    "import math, re, sys, copy, datetime, itertools, collections, heapq, statistics, functools, hashlib, numpy\n"
    "import numpy as np\nimport string\nfrom typing import *\nfrom collections import *\n"
)
_HEADERS = (
    "stdlib.h algorithm cmath math.h numeric stdio.h vector set map queue stack list deque boost/any.hpp string "
    "climits cstring iostream sstream fstream"
)
_GO_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
_EMPTY_MAIN = "public class Main {\n    }"
_MD5 = "module.exports = (text) => require('crypto').createHash('md5').update(text).digest('hex')"
_MEMORY = ("prlimit", f"--data={3 << 30}", "--core=0")
"""No limit of the harness; a program that fills the machine's memory passes nowhere."""


def _python(problem: Problem, answer: str) -> str:
    return f"{_IMPORTS}\n{answer}\n{problem.test}\ncheck({problem.entry_point})"


def _cpp(problem: Problem, answer: str) -> str:
    headers = "".join(f"#include<{name}>\n" for name in _HEADERS.split())
    return f"using namespace std;\n{headers}\n{answer.split('int main')[0]}\n{problem.test}"


def _java(problem: Problem, answer: str) -> str:
    return f"{answer.replace(_EMPTY_MAIN, '').strip()}\n{problem.test}"


def _js(problem: Problem, answer: str) -> str:
    return f"{answer}\n{problem.test}"


def _go(problem: Problem, answer: str) -> str:
    """Import packages by the last part of their path, as the harness does."""
    lines = [
        line for line in problem.setup.split("\n") if not line.strip().startswith('"') or line.strip() not in answer
    ]
    code = [line for line in f"{answer}\n{problem.test}".split("\n") if not line.strip().startswith("//")]
    text = "\n".join([*lines, answer])
    names = {
        path.rsplit("/", 1)[-1]
        for path in _GO_PACKAGES
        if f'"{path}"' not in text and any(f"{path.rsplit('/', 1)[-1]}." in line for line in code)
    }
    imports = "".join(f'import "{name}"\n' for name in sorted(names))
    return "\n".join([*lines, imports, answer.replace("package main", ""), problem.test])


def _rust(problem: Problem, answer: str) -> str:
    missing = [
        line
        for line in problem.declaration.split("\n")
        if line.strip() not in answer and not (line.startswith("fn ") and line.split("(")[0] in answer)
    ]
    main = [] if "fn main()" in answer else ["fn main(){}"]
    return "\n".join([*main, *missing, "fn main()".join(answer.split("fn main()")[:2]), problem.test])


@dataclass(frozen=True)
class _Way:
    """One language's program, commands and time limit."""

    file: str
    program: Callable[[Problem, str], str]
    seconds: float
    run: tuple[str, ...]
    compile: tuple[str, ...] = ()
    compiler_seconds: float = 60.0
    attempts: int = 1
    """How often the compiler is tried."""
    says_nothing: bool = False
    """Whether any output is a failure, and the exit code is not looked at."""


_WAYS: Mapping[str, _Way] = {
    "python": _Way("test.py", _python, 10.0, ("python3", "test.py")),
    "js": _Way("test.js", _js, 10.0, ("node", "test.js"), says_nothing=True),
    "java": _Way(
        "Main.java",
        _java,
        10.0,
        ("java", "-cp", ".", "Main"),
        compile=("javac", "Main.java"),
        compiler_seconds=5.0,
        attempts=5,
    ),
    "go": _Way("main_test.go", _go, 20.0, ("go", "test", "-timeout=20s", "main_test.go")),
    "cpp": _Way(
        "test.cpp",
        _cpp,
        60.0,
        ("./a.out",),
        compile=("/usr/bin/g++", "-std=c++11", "test.cpp", "-lcrypto", "-lssl"),
    ),
    "rust": _Way("main.rs", _rust, 300.0, ("./program",)),
}


def passes(problem: Problem, answer: str, seconds: float = 300.0) -> bool:
    """Tell what the harness would say of an answer that is given at most `seconds` on the clock."""
    way = _WAYS[problem.language]
    # rustc's own frame for tests, as in cargo test
    compile_command = (*commands_of("rust").compile[0], "--test") if problem.language == "rust" else way.compile
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / way.file).write_text(way.program(problem, answer), encoding="utf-8")
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "js-md5.js").write_text(_MD5, encoding="utf-8")
        compiled = not compile_command or any(
            _ends_well(compile_command, folder, way.compiler_seconds) for _ in range(way.attempts)
        )
        return compiled and _ends_well(way.run, folder, min(way.seconds, seconds), way.says_nothing)


def _ends_well(command: tuple[str, ...], folder: Path, seconds: float, says_nothing: bool = False) -> bool:
    """Run a command; its exit code decides, or whether it says nothing. Whatever it started is killed."""
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        (*_MEMORY, *command),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        _kill(process)
    return not said if says_nothing else process.returncode == 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
