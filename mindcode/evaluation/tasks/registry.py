"""All tasks by name: `task("humaneval", TaskOptions(limit=10))`.

A name is that of the BigCode harness or of lm-evaluation-harness, where the task exists there.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mindcode.evaluation.tasks import humaneval, humanevalpack, infilling, mbpp
from mindcode.evaluation.tasks.humaneval import select
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.utils.lookup import lookup

TASKS: Mapping[str, Callable[[str, TaskOptions], Task[Any]]] = {
    **humaneval.TASKS,
    **mbpp.TASKS,
    **infilling.TASKS,
    **humanevalpack.TASKS,
}
"""Name -> what makes the task of that name, with all of its problems."""


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks."""
    return tuple(TASKS)


def task(name: str, options: TaskOptions | None = None) -> Task[Any]:
    """Return a task with the problems that the options choose. Raises UserError for an unknown name, style or id."""
    options = options or TaskOptions()
    made = lookup(TASKS, name, "--task")(name, options)
    return replace(made, problems=select(made.problems, options.limit, options.ids, options.limit_start))
