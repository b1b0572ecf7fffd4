"""Checks of compilers: for the dry run, and for answers in other languages than Python."""

import re
from collections.abc import Sequence

from mindcode.doctor.finding import Finding, ok, warning
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Needs
from mindcode.runtime.simulation import TOOLS

LANGUAGES: dict[str, tuple[str, ...]] = {
    "C++": ("g++", "-dumpfullversion"),
    "JavaScript": ("node", "--version"),
    "Java": ("javac", "-version"),
    "Go": ("go", "version"),
    "Rust": ("rustc", "--version"),
}
"""How to ask each language's program for its version."""
_SECONDS = 10.0
_NUMBERS = re.compile(r"\d+(?:\.\d+)+")


def dry_run(machine: Machine, needs: Needs) -> Finding:
    """What builds the stub of CANN for dry runs."""
    missing = [name for name in TOOLS if machine.run((name, "--version"), _SECONDS).code != 0]
    if missing:
        packages = sorted({TOOLS[name] for name in missing})
        return warning(f"no {', no '.join(missing)}", f"apt-get install {' '.join(packages)}, for mindcode dryrun")
    return ok(f"gcc {_version(machine, ('gcc', '-dumpfullversion'))}, binutils")


def languages(machine: Machine, needs: Needs) -> Finding:
    """Compilers of the languages that answers may be written in; Python needs none."""
    versions = {language: _version(machine, command) for language, command in LANGUAGES.items()}
    found = ", ".join(["Python", *(f"{language} ({version})" for language, version in versions.items() if version)])
    missing = [language for language, version in versions.items() if not version]
    return ok(f"{found}; not {', '.join(missing)}" if missing else found)


def _version(machine: Machine, command: Sequence[str]) -> str:
    """Return the first version in what a program says; nothing when there is no such program."""
    ran = machine.run(command, _SECONDS)
    match = _NUMBERS.search(ran.text)
    return match.group() if ran.code == 0 and match else ""
