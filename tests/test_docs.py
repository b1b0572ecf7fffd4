"""What the documentation says is true: links lead somewhere, commands and their flags exist."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "configs").rglob("*.md"))]
PROGRAMS = ("mindcode", "python", "bash", "evaluate_functional_correctness", "make")
BENCHMARKS = [
    path for path in sorted((ROOT / "benchmarks").glob("*.py")) if not path.stem.endswith(("_peer", "_common"))
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_lines(text: str) -> list[str]:
    """The lines of code blocks, fenced or indented; continuation lines joined."""
    found, fenced = [], False
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            found.append(line.strip().removeprefix("$ "))
    return found


def commands_of(page: Path) -> list[list[str]]:
    """The shell commands in a page's code blocks, split into words."""
    lines = code_lines(page.read_text(encoding="utf-8"))
    return [shlex.split(line, comments=True) for line in lines if line.split(" ")[0] in PROGRAMS]


COMMANDS = [(page, command) for page in PAGES for command in commands_of(page)]


@cache
def help_of(program: tuple[str, ...]) -> str:
    done = subprocess.run([*program, "--help"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 0, f"{shlex.join(program)} --help: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page_name(page)} links to {target}"


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("program", BENCHMARKS, ids=lambda path: path.name)
def test_benchmarks_start(program: Path) -> None:
    assert "usage:" in help_of((sys.executable, str(program)))


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_commands_and_their_flags_exist(page: Path, command: list[str]) -> None:
    program, arguments = command[0], command[1:]
    if program == "make":
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in arguments)
        return
    if program == "evaluate_functional_correctness":
        return
    if program == "mindcode":
        known = help_of((sys.executable, "-m", "mindcode", *arguments[: 2 if arguments[0] == "ckpt" else 1]))
        launched = [word for word in arguments if arguments[0] == "launch" and word.endswith(".py")]
        known += "".join(help_of((sys.executable, script)) for script in launched)
    elif arguments[0] == "-m":
        known = help_of((sys.executable, *arguments[:2]))
    else:
        assert (ROOT / arguments[0]).is_file(), f"{page_name(page)} names {arguments[0]}"
        known = help_of((sys.executable, arguments[0])) if program == "python" else (ROOT / arguments[0]).read_text()
    for flag in (word.split("=")[0] for word in arguments if word.startswith("--")):
        assert flag in known or "." in flag, f"{page_name(page)}: {flag} in {shlex.join(command)}"
