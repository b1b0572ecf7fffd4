"""Which judge a language has."""

from collections.abc import Callable, Mapping

from mindcode.evaluation.execution.judge import Judge
from mindcode.evaluation.execution.languages import LANGUAGES
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.program_judge import judge_of
from mindcode.evaluation.execution.python_judge import PythonJudge

JUDGES: Mapping[str, Callable[[Limits], Judge]] = {
    "python": PythonJudge,
    **{name: judge_of(name) for name in LANGUAGES},
}
"""By Problem.language."""
