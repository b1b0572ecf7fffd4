"""Finding and calling the programs of a tool chain while what a language needs is built."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from mindcode.evaluation.execution.assembly.program import NotBuiltError

SYSTEM_PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
"""What a compiler finds its own programs (assembler, linker) with."""
_SECONDS = 300


def find_tool(name: str) -> str:
    """Return the path of a program; raise NotBuiltError when there is none."""
    path = shutil.which(name)
    if path is None:
        raise NotBuiltError(f"{name} is not installed")
    return path


def call(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; raise NotBuiltError with its last words when it fails."""
    outcome = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, **(environment or {})},
    )
    if outcome.returncode != 0:
        words = outcome.stderr.strip().splitlines() or ["no message"]
        raise NotBuiltError(f"{os.path.basename(command[0])} failed: {next(iter(errors(words)), words[-1])}")
    return outcome.stdout


def errors(lines: list[str]) -> list[str]:
    """Return the lines that say what went wrong."""
    return [line.strip() for line in lines if "rror" in line]
