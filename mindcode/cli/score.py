"""Run generated code against its tests and print pass@k.

mindcode score --samples output/samples.jsonl --allow_code_execution
mindcode score --run_dir output/smollm2_humaneval_a1b2c3 --allow_code_execution
mindcode score --task humaneval --check_references --allow_code_execution
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindcode.cli.evaluate_flags import NO_EFFECT, SCORE_FLAGS, SOURCE_FLAGS, TASK_FLAGS, add_flags, underscored
from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.evaluation.runner.run_files import RunFolder
    from mindcode.evaluation.runner.score import Outcome, ScoreRequest
    from mindcode.evaluation.runner.stored import Stored
    from mindcode.evaluation.tasks.task import Task, TaskOptions


def main(argv: list[str]) -> int:
    """Score samples, a run folder, or the reference solutions; the last line printed is the scores."""
    return score(parse(argv))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="mindcode score",
        usage="mindcode score (--samples FILE ... | --run_dir DIR | --check_references) --allow_code_execution [FLAGS]",
        description="Run generated code against its tests. The last line printed is the scores.",
    )
    for flags in (SOURCE_FLAGS, TASK_FLAGS, SCORE_FLAGS):
        add_flags(parser, flags)
    add_flags(parser.add_argument_group("flags of the harnesses that need nothing done here"), NO_EFFECT)
    return parser.parse_args(underscored(argv))


def score(arguments: argparse.Namespace) -> int:
    """Do what the command line says. Raises UserError for one that is unclear, and without consent."""
    from mindcode.cli.evaluate_tasks import finish

    given = [bool(arguments.samples), bool(arguments.run_dir), arguments.check_references]
    if sum(given) != 1:
        raise UserError("what to score: give one of --samples FILE, --run_dir DIR and --check_references")
    finish(arguments, _score(arguments))
    return 0


def _score(arguments: argparse.Namespace) -> "dict[str, Outcome]":
    """Return what came out, by task."""
    from mindcode.cli.evaluate_tasks import matching_tasks, task_options

    options = task_options(arguments)
    if arguments.run_dir:
        name, options = _task_of_run(arguments, options)
        return {name: _score_run(arguments, name, options)}
    names = matching_tasks(arguments.task or ("humaneval",), options)
    if not arguments.check_references:
        return {_only(names): _score_file(arguments, names[0], options)}
    if arguments.output and len(names) > 1:
        raise UserError(f"--output {arguments.output}: one file cannot hold {len(names)} tasks; give one --task")
    return {name: _score_references(arguments, name, options) for name in names}


def _only(names: Sequence[str]) -> str:
    if len(names) > 1:
        raise UserError(f"--task {','.join(names)}: samples belong to one task")
    return names[0]


def _score_file(arguments: argparse.Namespace, name: str, options: "TaskOptions") -> "Outcome":
    from mindcode.cli.evaluate_tasks import whole_task
    from mindcode.evaluation.runner.score import results_path
    from mindcode.evaluation.runner.stored import read_samples

    whole = whole_task(name, options)
    results = arguments.output or results_path(arguments.samples[0])
    request = _request(arguments, whole, options)
    return _scored(request, read_samples(whole, request.chosen, arguments.samples), results)


def _score_references(arguments: argparse.Namespace, name: str, options: "TaskOptions") -> "Outcome":
    from mindcode.cli.evaluate_tasks import score_request, whole_task, with_task_ids
    from mindcode.evaluation.runner.stored import Stored, program_row
    from mindcode.evaluation.types import Sample

    whole = whole_task(name, options)
    request = score_request(whole, with_task_ids(whole, options), arguments)
    stored = []
    for problem in request.chosen:
        program = whole.canonical(problem)
        row = {"task_id": problem.task_id, "sample": 0, **program_row(whole, problem, program)}
        stored.append(Stored(row, Sample(problem.task_id, program)))
    results = arguments.output or Path(f"references_{name}_results.jsonl")
    return _scored(request, stored, results)


def _task_of_run(arguments: argparse.Namespace, options: "TaskOptions") -> "tuple[str, TaskOptions]":
    """Return the task of a run folder, with the options that the run was made with where it is the recorded one."""
    from mindcode.cli.evaluate_tasks import matching_tasks
    from mindcode.evaluation.runner.run_files import RunFolder, recorded_task
    from mindcode.utils.json_file import read_json

    summary = RunFolder(arguments.run_dir).summary
    recorded, made_with = recorded_task(read_json(summary))
    asked = arguments.task or ((recorded,) if recorded else ())
    if not asked:
        raise UserError(f"{summary}: names no task; give --task NAME")
    of_the_run = dataclasses.replace(options, **made_with)
    name = _only(matching_tasks(asked, of_the_run if asked == (recorded,) else options))
    return name, of_the_run if name == recorded else options


def _score_run(arguments: argparse.Namespace, name: str, options: "TaskOptions") -> "Outcome":
    """Here --limit and --limit_start, too, choose whose samples are judged again."""
    from mindcode.cli.evaluate_tasks import chosen_problems, whole_task, with_task_ids
    from mindcode.evaluation.runner.run_files import RunFolder

    whole = whole_task(name, options)
    options = with_task_ids(whole, options)
    if options.limit is not None or options.limit_start:
        ids = tuple(problem.task_id for problem in chosen_problems(whole, options))
        options = dataclasses.replace(options, ids=ids, limit=None, limit_start=0)
    return score_folder(_request(arguments, whole, options), RunFolder(arguments.run_dir))


def score_folder(request: "ScoreRequest", folder: "RunFolder") -> "Outcome":
    """Score a run folder and say what happened; where its tools are missing, what comes out has no samples."""
    from mindcode.cli.evaluate_tasks import print_left_out, print_outcome
    from mindcode.evaluation.runner.recording import score_run
    from mindcode.evaluation.runner.score import LeftOut

    try:
        outcome = score_run(request, folder)
    except LeftOut as error:
        print_left_out(error.outcome)
        return error.outcome
    print_outcome(request.task.name, outcome)
    print(f"run: {folder.path}")
    return outcome


def _request(arguments: argparse.Namespace, whole: "Task[Any]", options: "TaskOptions") -> "ScoreRequest":
    """Here the ids do not choose problems, but those whose samples are judged again."""
    from mindcode.cli.evaluate_tasks import score_request, with_task_ids

    ids = with_task_ids(whole, options).ids
    return dataclasses.replace(score_request(whole, dataclasses.replace(options, ids=()), arguments), ids=ids)


def _scored(request: "ScoreRequest", stored: "Sequence[Stored]", results: Path) -> "Outcome":
    from mindcode.cli.evaluate_tasks import print_left_out, print_outcome
    from mindcode.evaluation.runner.recording import scored_summary
    from mindcode.evaluation.runner.run_files import summary_object
    from mindcode.evaluation.runner.score import LeftOut, score_samples, summary_path
    from mindcode.utils.json_file import write_json

    try:
        outcome = score_samples(request, stored, results)
    except LeftOut as error:
        print_left_out(error.outcome)
        return error.outcome
    configuration = {"task": {"name": request.task.name}}
    write_json(summary_path(results), scored_summary(summary_object(configuration, outcome.stored), request, outcome))
    print_outcome(request.task.name, outcome)
    print(f"results: {results}")
    print(f"summary: {summary_path(results)}")
    return outcome
