"""The languages whose answers are whole programs, a row each; Python has a judge of its own (python_judge.py)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindcode.evaluation.execution.assembly import cpp, go, java, javascript, rust
from mindcode.evaluation.execution.assembly.program import Commands, Program, Secret
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.types import Problem

_MIB = 1024 * 1024
_RESERVED = 1 << 46
"""Address space for run times that reserve far more than they use; what they use is limited as data."""
_THREADS = 64
"""Of a virtual machine; and processes of a compiler."""
_SECONDS, _PYTHON_SECONDS = 10.0, 3.0


@dataclass(frozen=True)
class Language:
    """What is special about a language."""

    title: str
    prepare: Callable[[Path], Commands]
    """Builds in an empty folder what all programs share. Raises NotBuiltError."""
    assemble: Callable[[Problem, str, Secret], Program]
    """Makes one program of an answer and its tests."""
    version: tuple[str, ...]
    """A command that names the version of the compiler."""
    packages: str
    """What to install, for the message when something is missing."""
    limits: Limits = field(default_factory=lambda: Limits(cpu_seconds=_SECONDS))
    """Of a run."""


def _virtual_machine() -> Limits:
    return Limits(cpu_seconds=_SECONDS, memory_bytes=_RESERVED, processes=_THREADS)


COMPILER_LIMITS = Limits(
    cpu_seconds=30.0,
    memory_bytes=_RESERVED,
    data_bytes=4096 * _MIB,
    file_bytes=128 * _MIB,
    open_files=256,
    processes=_THREADS,
)
"""Of one call of a compiler."""

LANGUAGES: Mapping[str, Language] = {
    "js": Language(
        "JavaScript", javascript.prepare, javascript.assemble, ("node", "--version"), "nodejs", _virtual_machine()
    ),
    "java": Language(
        "Java", java.prepare, java.assemble, ("java", "--version"), "default-jdk-headless", _virtual_machine()
    ),
    "go": Language(
        "Go",
        go.prepare,
        go.assemble,
        ("go", "version"),
        "golang-go golang-github-stretchr-testify-dev",
        _virtual_machine(),
    ),
    "cpp": Language("C++", cpp.prepare, cpp.assemble, ("g++", "--version"), "g++ libboost-dev libssl-dev"),
    "rust": Language(
        "Rust", rust.prepare, rust.assemble, ("rustc", "--version"), "rustc librust-regex-dev librust-md5-dev"
    ),
}
"""By Problem.language."""


def usual_seconds(name: str) -> float:
    """Return the processor time that a sample of a language gets when nobody says otherwise."""
    return LANGUAGES[name].limits.cpu_seconds if name in LANGUAGES else _PYTHON_SECONDS
