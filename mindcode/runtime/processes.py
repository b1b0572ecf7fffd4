"""Child processes that leave nothing behind: each leads a process group of its own, and dies with its parent."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.05


class Child:
    """One process with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start it. `environment` is added to the surroundings."""
        self.name, self.log = name, log
        log.unlink(missing_ok=True)  # a job that writes to the old file keeps it for itself
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=_dying_with(os.getpid()),
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also the id of its group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended, minus the signal's number for a violent end; None while it runs."""
        return self._process.poll()

    @property
    def failed(self) -> bool:
        """Whether it ended, and not well."""
        return self.exit_code() not in (None, 0)

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End the whole group and wait for it."""
        self.signal(signal.SIGKILL)
        self._process.wait()


def stop(children: Sequence[Child], number: int, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
    """Ask with a signal, wait up to `seconds` or until `enough` says so, then kill what is left of each group."""
    for child in children:
        if child.exit_code() is None:
            child.signal(number)
    deadline = time.monotonic() + seconds
    while _running(children) and time.monotonic() < deadline and not enough():
        time.sleep(_POLL_SECONDS)
    for child in children:
        child.kill()


def _running(children: Iterable[Child]) -> bool:
    return any(child.exit_code() is None for child in children)


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Return what a new process does before its program starts: tell Linux to kill it when its parent dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
