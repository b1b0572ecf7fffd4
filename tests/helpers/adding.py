"""The smallest problem for judges, and limits that are plenty for it."""

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.types import Problem

# one second of processor time is plenty for three additions and keeps the endless ones short
SHORT = Limits(cpu_seconds=1.0)
ADD = Problem(
    "t/add",
    'def add(x, y):\n    """Add two numbers."""\n',
    "add",
    "def check(f):\n    assert f(1, 2) == 3\n    assert f(-1, 1) == 0\n    assert f(5, 5) == 10\n",
)
