"""What a check says.

ok("3.11.4")
problem("none", "pip install mindspore==2.9.0")
"""

from dataclasses import dataclass
from enum import Enum

from mindcode.utils.errors import UserError


class Status(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    """The job may run, but worse than it could, or not for long."""
    PROBLEM = "problem"
    """The job will not run."""
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    status: Status
    found: str
    """What is there; for NOT_APPLICABLE, why it was not looked at."""
    todo: str = ""
    """What to do about it; empty when there is nothing to do."""


def ok(found: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Status.OK, found)


def warning(found: str, todo: str) -> Finding:
    """Return a finding that the job may survive."""
    return Finding(Status.WARNING, found, todo)


def problem(found: str, todo: str) -> Finding:
    """Return a finding that the job will not survive."""
    return Finding(Status.PROBLEM, found, todo)


def refused(error: UserError) -> Finding:
    """Return the problem that another room words: what is wrong; what to do."""
    found, _, todo = str(error).partition("; ")
    return problem(found, todo)


def not_applicable(reason: str) -> Finding:
    """Return that there was nothing to look at."""
    return Finding(Status.NOT_APPLICABLE, reason)
