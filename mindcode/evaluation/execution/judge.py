"""What gives a verdict: the interface that the judges of all languages share.

A judge keeps what is slow to start (a warm process, a virtual machine) from one sample to the next. It runs in a
process of its own, on the main thread.
"""

from typing import Protocol

from mindcode.evaluation.types import Problem, Verdict

PASSED = "passed"
TIMED_OUT = "timed out"
WRONG = "wrong"
DOES_NOT_COMPILE = "does not compile"
ERROR = "error"


class Judge(Protocol):
    """Gives verdicts, one at a time."""

    def try_sample(self, problem: Problem, source: str) -> Verdict:
        """Run the program of an answer against the problem's tests."""
        ...

    def close(self) -> None:
        """End whatever runs beside it."""
        ...
