"""All tasks by name: `task("humaneval", TaskOptions(limit=10))`.

A name is that of the BigCode harness or of lm-evaluation-harness, where the task exists there.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mindcode.evaluation.tasks import evalplus, humaneval, humanevalpack, infilling, instruct_humaneval, mbpp
from mindcode.evaluation.tasks.humaneval import select
from mindcode.evaluation.tasks.own import make_own_task, own_tasks
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.utils.lookup import lookup

Maker = Callable[[str, TaskOptions], Task[Any]]
TASKS: Mapping[str, Maker] = {
    **humaneval.TASKS,
    **instruct_humaneval.TASKS,
    **mbpp.TASKS,
    **evalplus.TASKS,
    **infilling.TASKS,
    **humanevalpack.TASKS,
}
"""Name -> what makes the task of that name, with all of its problems."""


def task_names(tasks_dir: Path | None = None) -> tuple[str, ...]:
    """Return the names of all tasks, with those of a folder of one's own."""
    return tuple(_makers(tasks_dir))


def task(name: str, options: TaskOptions | None = None) -> Task[Any]:
    """Return a task with the problems that the options choose. Raises UserError for an unknown name, style or id.

    A task of `options.tasks_dir` comes before one of the package.
    """
    options = options or TaskOptions()
    made = lookup(_makers(options.tasks_dir), name, "--task")(name, options)
    return replace(made, problems=select(made.problems, options.limit, options.ids, options.limit_start))


def _makers(tasks_dir: Path | None) -> dict[str, Maker]:
    own = own_tasks(tasks_dir) if tasks_dir else {}
    return {**TASKS, **{name: partial(make_own_task, path) for name, path in own.items()}}
