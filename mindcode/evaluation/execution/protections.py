"""Which protections hold on this machine, for the summary of a run."""

import functools
from dataclasses import dataclass

from mindcode.evaluation.execution.sandbox import Sandbox

_ALWAYS = ("with limits on time, memory, files and processes", "in a session that is killed whole")
# by name: how it reads when it holds, and when it does not
_WORDS = {
    "user": ("as a user without rights", "a user of its own"),
    "calls": ("without system calls that open sockets or reach other processes", "a filter of system calls"),
    "network": ("without a network", "a network namespace"),
    "processes": ("without sight of other processes", "a process namespace"),
    "files": ("with one small folder to write to", "read-only files"),
}


@dataclass(frozen=True)
class Protections:
    """What stands between generated code and the machine, besides limits and a session of its own."""

    held: tuple[str, ...]
    """Of user, calls, network, processes, files."""

    @property
    def line(self) -> str:
        """One sentence for people."""
        holds = [*_ALWAYS, *(words for name, (words, _) in _WORDS.items() if name in self.held)]
        missing = [words for name, (_, words) in _WORDS.items() if name not in self.held]
        rest = f"; not to be had here: {', '.join(missing)}" if missing else ""
        return f"generated code runs {', '.join(holds)}{rest}"


@functools.cache
def protections() -> Protections:
    """Start a sandbox and return what it could set up."""
    with Sandbox() as sandbox:
        return Protections(sandbox.protections)
