"""What a run folder says when answers, and when verdicts, are complete.

record_generation(evaluation, identity, folder)
outcome = score_run(request, folder)          # our run folders, and SkyThought's
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from mindcode.evaluation.execution.protections import protections
from mindcode.evaluation.runner.bigcode import metrics_object
from mindcode.evaluation.runner.evaluation import Evaluation
from mindcode.evaluation.runner.run_files import (
    RunFolder,
    generation_lists,
    results_object,
    summary_object,
)
from mindcode.evaluation.runner.score import Outcome, ScoreRequest, described_limits, results_path, score_samples
from mindcode.evaluation.runner.stopwatch import Stopwatch, stage_seconds
from mindcode.evaluation.runner.stored import Stored, program_row, read_samples
from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json, write_json
from mindcode.utils.jsonl import encode_json


def record_generation(
    evaluation: Evaluation, identity: Mapping[str, str], folder: RunFolder, number: int = 1
) -> list[Stored]:
    """Write generations, references, results and summary of the samples that were asked for, and return these.

    `number` is the training step that the files are named by, where there is one. Files that say all of this already,
    perhaps with verdicts, stay as they are; verdicts on other samples go, and so do the generations of the way here.
    """
    task, chosen = evaluation.task, evaluation.chosen
    stored = read_samples(task, chosen, [folder.samples])
    stored = [item for item in stored if item.row["sample"] < evaluation.n_samples]
    configuration = evaluation.configuration(identity)
    if folder.summary.exists() and _same(read_json(folder.summary).get("configuration"), configuration):
        return stored
    for stale in (folder.evaluation_results, results_path(folder.samples)):
        stale.unlink(missing_ok=True)
    write_json(folder.generations(task.name, number), generation_lists(chosen, stored), indent=None)
    folder.unfinished_generations(task.name).unlink(missing_ok=True)
    write_json(folder.references(task.name, number), [task.reference(problem) for problem in chosen], indent=None)
    write_json(folder.results, results_object(task, evaluation.prompts, stored))
    summary = summary_object(configuration, stored)
    write_json(folder.summary, {**summary, "generation_seconds": stage_seconds(folder.timings, "generate")})
    return stored


def _same(written: Any, value: Any) -> bool:
    return bool(written == json.loads(encode_json(value)))


def record_unfinished(evaluation: Evaluation, folder: RunFolder) -> None:
    """Write the generations so far; a problem without samples has an empty list."""
    stored = read_samples(evaluation.task, evaluation.chosen, [folder.samples])
    lists = generation_lists(evaluation.chosen, stored)
    write_json(folder.unfinished_generations(evaluation.task.name), lists, indent=None)


def score_run(request: ScoreRequest, folder: RunFolder) -> Outcome:
    """Judge the answers of a run folder and write the verdicts into all of its files.

    Raises UserError for a folder whose generation has not come to its end.
    """
    if folder.samples.exists() and not folder.results.exists():
        raise UserError(
            f"{folder.path}: generation has not come to its end; run mindcode generate again, or score what is there "
            f"with --samples {folder.samples} --ignore_incomplete"
        )
    results, summary = read_json(folder.results), read_json(folder.summary)
    held = {_task_id(request.task, key, entry) for key, entry in results.items() if _responses(key, entry)}
    request = replace(request, chosen=tuple(problem for problem in request.chosen if problem.task_id in held))
    stored = _stored(request, results, folder)
    with Stopwatch(folder.timings, "execute"):
        outcome = score_samples(request, stored, results_path(folder.samples))
    _write_verdicts(request.task, results, outcome)
    write_json(folder.results, results)
    write_json(folder.summary, scored_summary(summary, request, outcome, folder))
    configuration = summary.get("configuration") or {}
    write_json(folder.evaluation_results, metrics_object({request.task.name: outcome.score}, configuration))
    return outcome


def scored_summary(
    summary: Mapping[str, Any], request: ScoreRequest, outcome: Outcome, folder: RunFolder | None = None
) -> dict[str, Any]:
    """Return a summary with the scores in it."""
    rate = outcome.score.total
    return {
        **summary,
        "accuracy": round(rate.passed / max(rate.samples, 1), 4),
        "pass_at_k": outcome.score.percents(),
        "scores": outcome.score.described(),
        "execution_seconds": stage_seconds(folder.timings, "execute") if folder else outcome.seconds,
        "limits": described_limits(request),
        "left_out": dict(outcome.left_out),
        "judged_in_one_process": [problem.task_id for problem in request.chosen if problem.needs_objects],
        "protections": protections().line,
        "scored_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _stored(request: ScoreRequest, results: Mapping[str, Any], folder: RunFolder) -> list[Stored]:
    """Return the chosen samples that the results hold: with what samples.jsonl knows of them, where there is one."""
    task, problems = request.task, {problem.task_id: problem for problem in request.chosen}
    entries = {_task_id(task, key, entry): _responses(key, entry) for key, entry in results.items()}
    if folder.samples.exists():
        stored = read_samples(task, request.chosen, [folder.samples])
        return [item for item in stored if item.row["sample"] < len(entries[item.sample.task_id])]
    found = []
    for task_id, problem in problems.items():
        for number, response in enumerate(entries[task_id]):
            program = task.program(problem, response["content"])
            row = {"task_id": task_id, "sample": number, **program_row(task, problem, program)}
            found.append(Stored({**row, "answer": response["content"]}, Sample(task_id, program)))
    return found


def _responses(key: str, entry: Any) -> list[dict[str, Any]]:
    responses = entry.get("responses") if isinstance(entry, dict) else None
    if not isinstance(responses, list) or not all(isinstance(said, dict) and "content" in said for said in responses):
        raise UserError(f'results.json: {key!r}: expected "responses", a list of objects with "content"')
    return responses


def _task_id(task: Task[Any], key: str, entry: Any) -> str:
    """A result belongs to the problem that it names, or else to the one at its index."""
    if isinstance(entry, dict) and isinstance(entry.get("task_id"), str):
        return entry["task_id"]
    if not key.isdecimal() or int(key) >= len(task.problems):
        raise UserError(f"results.json: the key {key!r} is no index of a problem of {task.name}")
    return task.problems[int(key)].task_id


def _write_verdicts(task: Task[Any], results: Mapping[str, Any], outcome: Outcome) -> None:
    verdicts = {
        (item.sample.task_id, item.row["sample"]): verdict
        for item, verdict in zip(outcome.stored, outcome.verdicts, strict=True)
    }
    for key, entry in results.items():
        for number, response in enumerate(entry["responses"]):
            verdict = verdicts.get((_task_id(task, key, entry), number))
            if verdict is not None:
                response.update(correctness=verdict.passed, reason="" if verdict.passed else verdict.result)
