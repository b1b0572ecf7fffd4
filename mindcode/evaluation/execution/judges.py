"""Which judge a language has."""

from collections.abc import Callable, Mapping

from mindcode.evaluation.execution.judge import Judge
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.python_judge import PythonJudge

JUDGES: Mapping[str, Callable[[Limits], Judge]] = {"python": PythonJudge}
"""By Problem.language."""
