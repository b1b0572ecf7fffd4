"""Which protections hold on this machine, for the summary of a run."""

import functools
from dataclasses import dataclass

from mindcode.evaluation.execution.sandbox import Sandbox

_WORDS = {
    "user": "a user without rights",
    "network": "no network",
    "processes": "no sight of other processes",
    "files": "files read-only but for one small folder",
}


@dataclass(frozen=True)
class Protections:
    """What stands between generated code and the machine, besides limits and the own process group."""

    held: tuple[str, ...]

    @property
    def line(self) -> str:
        """One sentence for people."""
        holds = ["limits on time, memory, files and processes", "a session that is killed whole"]
        holds += [words for name, words in _WORDS.items() if name in self.held]
        missing = [words for name, words in _WORDS.items() if name not in self.held]
        return f"protections: {', '.join(holds)}" + (f"; the kernel refused: {', '.join(missing)}" if missing else "")


@functools.cache
def protections() -> Protections:
    """Start a sandbox and return what it could set up."""
    with Sandbox() as sandbox:
        return Protections(sandbox.protections)
