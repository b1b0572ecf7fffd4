"""The judge: runs a problem's tests here and the generated code elsewhere, and says who passed.

Generated code never runs in this process. The tests call a stand-in for the function; it sends the arguments to the
locked-in process and builds the returned value anew from plain data. What the code prints, how it exits and what it
does to its own interpreter therefore cannot reach the verdict.
"""

import builtins
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.values import decode, encode, receive, send
from mindcode.evaluation.postprocess import stubbed_prompt
from mindcode.evaluation.types import Problem, Verdict

PASSED = "passed"
TIMED_OUT = "timed out"
_REPLY_BYTES = 4096


@dataclass(frozen=True)
class Trial:
    """A verdict, and whether it came from the clock on the wall, which a busy machine can be to blame for."""

    verdict: Verdict
    waited_too_long: bool


class CandidateError(Exception):
    """The generated code raised something that is not a built-in exception."""


class _CandidateGoneError(BaseException):
    """The judged process has ended or speaks no sense; not an Exception, so that no test can catch it."""


class _ClockError(BaseException):
    """The wall-clock limit is over."""


class Judge:
    """Gives verdicts, one at a time, with a warm host beside it; usable from a main thread only (it needs SIGALRM)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._host: _Host | None = None

    def try_sample(self, problem: Problem, source: str) -> Trial:
        """Run the program of an answer against the problem's tests."""
        start = time.monotonic()
        host = self._host or _Host()
        self._host = None
        with host.candidate(self._limits) as pipes:
            result = self._run(problem, source, pipes)
        self._host = host if host.alive else None
        waited_too_long = result == TIMED_OUT
        if host.status == -signal.SIGXCPU or host.cpu_seconds > self._limits.cpu_seconds:
            result, waited_too_long = TIMED_OUT, False
        verdict = Verdict(problem.task_id, result == PASSED, result, round(time.monotonic() - start, 4))
        return Trial(verdict, waited_too_long)

    def close(self) -> None:
        """End the host."""
        if self._host:
            self._host.close()

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, problem: Problem, source: str, pipes: "_Pipes") -> str:
        try:
            with _alarm(self._limits.wall_seconds), contextlib.redirect_stdout(io.StringIO()):
                pipes.ask({"source": source + "\n", "entry_point": problem.entry_point})
                _run_tests(problem, _stand_in(pipes))
        except _ClockError:
            return TIMED_OUT
        except (Exception, _CandidateGoneError, SystemExit) as error:
            return f"failed: {error}" if str(error) else f"failed: {type(error).__name__}"
        return PASSED


def _run_tests(problem: Problem, candidate: Callable[..., Any]) -> None:
    """Execute the tests with the names that the prompt defines in reach."""
    namespace: dict[str, Any] = {}
    exec(compile(stubbed_prompt(problem), "<prompt>", "exec", dont_inherit=True), namespace)
    namespace[problem.entry_point] = candidate
    exec(compile(problem.test, "<test>", "exec", dont_inherit=True), namespace)
    namespace["check"](candidate)


def _stand_in(pipes: "_Pipes") -> Callable[..., Any]:
    """Return what the tests call in place of the function; tests may name its arguments."""
    return lambda *args, **kwargs: _call(pipes, list(args), kwargs)


def _call(pipes: "_Pipes", args: list[Any], kwargs: dict[str, Any]) -> Any:
    reply = pipes.ask({"args": encode(args), "kwargs": encode(kwargs)})
    if "error" in reply:
        raise _rebuilt_error(reply["error"])
    return decode(reply["value"])


def _rebuilt_error(description: Any) -> Exception:
    """Return the built-in exception that is described, or CandidateError: tests may expect the former."""
    name, text = (str(part) for part in description)
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
        return kind(text)
    return CandidateError(f"{name}: {text}")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _ClockError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class _Pipes:
    """The judge's ends of the two pipes to one judged process."""

    calls: int
    replies: int

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a frame and return the answer; everything that is not an answer ends the trial."""
        try:
            send(self.calls, message)
            reply = receive(self.replies)
        except (OSError, EOFError) as error:
            raise _CandidateGoneError("the process ended before it answered") from error
        except ValueError as error:
            raise _CandidateGoneError(f"the process broke the protocol: {error}") from error
        if "source" in message and "error" in reply:
            raise _CandidateGoneError(": ".join(str(part) for part in reply["error"]))
        if "source" in message and not reply.get("ready"):
            raise _CandidateGoneError(f"name {message['entry_point']!r} is not defined")
        return reply


class _Host:
    """The judge's handle on a host process."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        root = str(Path(__file__).parents[3])
        environment = {**os.environ, "PYTHONPATH": root}
        command = [sys.executable, "-m", "mindcode.evaluation.execution.host", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd="/")
        theirs.close()
        self.alive = True
        self.status = 0
        self.cpu_seconds = 0.0

    @contextlib.contextmanager
    def candidate(self, limits: Limits) -> Iterator[_Pipes]:
        """Start a locked-in process; when the block ends, it and all that it started are gone."""
        calls_read, calls_write = os.pipe()
        replies_read, replies_write = os.pipe()
        try:
            message = json.dumps(asdict(limits)).encode()
            socket.send_fds(self._control, [message], [calls_read, replies_write])
            os.close(calls_read)
            os.close(replies_write)
            yield _Pipes(calls_write, replies_read)
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
        """Let the process end and wait for it."""
        self.alive = False
        self._control.close()
        self._process.wait()
