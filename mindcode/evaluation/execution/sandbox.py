"""The judge's handle on the warm parent of the judged (host.py): one locked-in process at a time, and nothing after it.

with Sandbox() as sandbox, sandbox.candidate(limits) as pipes:
    reply = pipes.ask({"source": ..., "entry_point": ...})
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.values import receive, send
from mindcode.utils.errors import UserError

_REPLY_BYTES = 4096


class CandidateGoneError(BaseException):
    """The judged process has ended or speaks no sense; not an Exception, so that no test can catch it."""


@dataclass
class Pipes:
    """The judge's ends of the two pipes to one judged process."""

    calls: int
    replies: int

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a frame and return the answer; raise CandidateGoneError when there is none."""
        try:
            send(self.calls, message)
            return receive(self.replies)
        except (OSError, EOFError) as error:
            raise CandidateGoneError("the process ended before it answered") from error
        except ValueError as error:
            raise CandidateGoneError(f"the process broke the protocol: {error}") from error


class Sandbox:
    """A host process and the control socket to it; dead after a sample that took the host along."""

    def __init__(self, readable: Sequence[str] = ()) -> None:
        """Start the host; what it runs can read the `readable` folders as far as this user can."""
        self._control, theirs = socket.socketpair()
        root = str(Path(__file__).parents[3])
        environment = {**os.environ, "PYTHONPATH": root}
        command = [sys.executable, "-m", "mindcode.evaluation.execution.host", str(theirs.fileno()), *readable]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd="/")
        theirs.close()
        greeting = self._control.recv(_REPLY_BYTES)
        if not greeting:
            raise UserError(
                f"the process that locks generated code in did not start: {' '.join(command[:3])} ended with exit code "
                f"{self._process.wait()}, expected a greeting; its own message is above"
            )
        self.protections: tuple[str, ...] = tuple(json.loads(greeting))
        """What holds besides limits: user, calls, network, processes, files."""
        self.alive = True
        self.status = 0
        self.cpu_seconds = 0.0

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def candidate(self, limits: Limits) -> Iterator[Pipes]:
        """Start a locked-in process; when the block ends, it and all that it started are gone."""
        calls_read, calls_write = os.pipe()
        replies_read, replies_write = os.pipe()
        try:
            message = json.dumps(asdict(limits)).encode()
            socket.send_fds(self._control, [message], [calls_read, replies_write])
            os.close(calls_read)
            os.close(replies_write)
            yield Pipes(calls_write, replies_read)
        finally:
            os.close(calls_write)
            os.close(replies_read)
            self._finish()

    def _finish(self) -> None:
        try:
            self._control.sendall(b".")
            report = json.loads(self._control.recv(_REPLY_BYTES))
            self.status, self.cpu_seconds = report["status"], report["cpu_seconds"]
        except (OSError, ValueError):
            self.status, self.cpu_seconds = -signal.SIGKILL, 0.0
            self.close()

    def close(self) -> None:
        """Let the host end and wait for it."""
        self.alive = False
        self._control.close()
        self._process.wait()
