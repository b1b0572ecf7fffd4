"""What generate, evaluate and score share: which tasks and problems, how they are judged, what is printed."""

import argparse
import dataclasses
import difflib
import fnmatch
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindcode.evaluation.tasks.humaneval import select
from mindcode.evaluation.tasks.registry import task, task_names
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup

if TYPE_CHECKING:
    from mindcode.evaluation.runner.score import Outcome, ScoreRequest

_CONSENT = (
    "scoring runs code that a model wrote: it is locked in (no privileges, limits on time, memory and files, and no "
    "network where the kernel allows) but this is no virtual machine; say --allow_code_execution if you agree"
)
_AS_TEST = 10
_NEAREST = 3
_TASK_ARGS: Mapping[str, Callable[[Any], Any]] = {
    "prompt": str,
    "data_path": Path,
    "load_data_path": Path,
    "tasks_dir": Path,
}


def demand_consent(arguments: argparse.Namespace) -> None:
    """Raise UserError when answers to one of the tasks will be executed and the user has not agreed to that."""
    if arguments.allow_code_execution:
        return
    options = task_options(arguments)
    for name in matching_tasks(arguments.task, options):
        if whole_task(name, options).requires_execution:
            raise UserError(_CONSENT)


def task_options(arguments: argparse.Namespace) -> TaskOptions:
    """Return what the flags say about a task; --task_args speak last. Raises UserError for an unknown argument."""
    options = TaskOptions(
        data_path=arguments.data_path,
        load_data_path=arguments.load_data_path,
        prompt=arguments.prompt,
        tasks_dir=arguments.tasks_dir,
        limit=_limit(arguments),
        limit_start=arguments.limit_start,
        ids=arguments.ids,
    )
    said: dict[str, Any] = {
        name: lookup(_TASK_ARGS, name, "--task_args")(value) for name, value in arguments.task_args.items()
    }
    return dataclasses.replace(options, **said)


def _limit(arguments: argparse.Namespace) -> int | None:
    """Return how many problems, of --limit, --end and --as_test the fewest."""
    limits = [arguments.limit] if arguments.limit else []
    if arguments.end > 0:
        limits.append(max(arguments.end - arguments.limit_start, 0))
    if arguments.as_test:
        limits.append(_AS_TEST)
    return min(limits, default=None)


def matching_tasks(patterns: tuple[str, ...], options: TaskOptions) -> list[str]:
    """Return the names of tasks that are asked for, in order. Raises UserError for a name or pattern without a match.

    Capital and small letters are the same, as in SkyThought.
    """
    known, found = task_names(options.tasks_dir), list[str]()
    for pattern in patterns:
        matches = [pattern] if pattern in known else [name for name in known if _matches(name, pattern)]
        if not matches:
            near = difflib.get_close_matches(pattern.lower(), known, n=_NEAREST, cutoff=0)
            raise UserError(f"--task {pattern}: no task has such a name; the nearest are {', '.join(near)}")
        found += matches
    return list(dict.fromkeys(found))


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def whole_task(name: str, options: TaskOptions) -> Task[Any]:
    """Return a task with all of its problems, whatever the options choose."""
    return task(name, dataclasses.replace(options, limit=None, limit_start=0, ids=()))


def with_task_ids(whole: Task[Any], options: TaskOptions) -> TaskOptions:
    """Return the options with task_ids instead of indexes. Raises UserError for one that no problem has."""
    known = {problem.task_id for problem in whole.problems}
    ids = tuple(name if name in known else _task_id_at(whole, name) for name in options.ids)
    select(whole.problems, ids=ids)
    return dataclasses.replace(options, ids=ids)


def _task_id_at(whole: Task[Any], name: str) -> str:
    index = int(name) if name.isdecimal() else len(whole.problems)
    return whole.problems[index].task_id if index < len(whole.problems) else name


def chosen_problems(whole: Task[Any], options: TaskOptions) -> tuple[Problem, ...]:
    """Return the problems that the options choose. Raises UserError when that is none."""
    chosen = select(whole.problems, options.limit, options.ids, options.limit_start)
    if chosen:
        return chosen
    there = f"--ids has {len(options.ids)}" if options.ids else f"{whole.name} has {len(whole.problems)}"
    if options.limit == 0:
        raise UserError(f"--end: not after --limit_start {options.limit_start}, so no problem is left; {there}")
    raise UserError(f"--limit_start {options.limit_start}: no problem is left; {there}")


def score_request(whole: Task[Any], options: TaskOptions, arguments: argparse.Namespace) -> "ScoreRequest":
    """Return how the problems that the options choose are scored.

    Raises UserError for a task without tests, without consent, and when no problem is chosen.
    """
    from mindcode.evaluation.runner.judging import Judging
    from mindcode.evaluation.runner.score import ScoreRequest

    if not whole.requires_execution:
        raise UserError(f"--task {whole.name}: its answers are no programs; there is nothing to score")
    if not arguments.allow_code_execution:
        raise UserError(_CONSENT)
    if arguments.compat:
        problems = tuple(dataclasses.replace(problem, mended=False) for problem in whole.problems)
        whole = dataclasses.replace(whole, problems=problems)
    return ScoreRequest(
        task=whole,
        chosen=chosen_problems(whole, options),
        judging=Judging(arguments.timeout or whole.cpu_seconds, arguments.n_workers),
        ks=arguments.k,
        ignore_incomplete=arguments.ignore_incomplete,
    )


def print_outcome(name: str, outcome: "Outcome") -> None:
    """Print what happened to a task's samples; the scores come after it."""
    from mindcode.evaluation.execution.protections import protections

    score = outcome.score
    print(
        f"{name}: {score.total.passed} of {score.total.samples} samples passed, {score.total.problems} problems, "
        f"{outcome.seconds:.1f} s"
    )
    failures = [f"{number} {kind}" for kind, number in sorted(score.kinds.items()) if kind != "passed"]
    if failures:
        print(f"failures: {', '.join(failures)}; {score.truncated} answers cut off, {score.empty} empty")
    print_left_out(outcome)
    print(protections().line)


def print_left_out(outcome: "Outcome") -> None:
    """Print which languages cannot be judged here."""
    for language, reason in outcome.left_out.items():
        print(f"{language} is left out: {reason}")


def finish(arguments: argparse.Namespace, outcomes: "Mapping[str, Outcome]") -> None:
    """Write --metric_output_path and print the last line: `pass@1: 0.1234`, or with several tasks also their names.

    A task that could not be judged here has no samples and no score. Raises UserError where that is true of all.
    """
    from mindcode.evaluation.runner.bigcode import metrics_object
    from mindcode.utils.json_file import write_json

    scores = {name: outcome.score for name, outcome in outcomes.items() if outcome.verdicts}
    if not scores:
        raise UserError("; ".join(dict.fromkeys(why for left in outcomes.values() for why in left.left_out.values())))
    if arguments.metric_output_path:
        write_json(arguments.metric_output_path, metrics_object(scores, {}))
    none = f"no pass@k: fewer samples than {min(arguments.k)} for some problems"
    lines = {name: score.total.line or none for name, score in scores.items()}
    print(" | ".join(f"{name} {line}" for name, line in lines.items()) if len(outcomes) > 1 else lines.popitem()[1])
