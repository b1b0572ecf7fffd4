"""Have a model answer the problems of benchmarks, sample by sample; scoring is a command of its own.

mindcode generate --config configs/smollm2/predict_smollm2_135m.yaml --load_checkpoint smollm2.ckpt --task humaneval
mindcode generate ... --task mbpp,humanevalsynthesize-js --n 20 --temperature 0.2 --top_p 0.95 --result_dir output
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.cli.evaluate_flags import GENERATION_ONLY
from mindcode.cli.evaluate_job import EvaluateJob, make_job, parse_arguments
from mindcode.utils.lock import sole_writer

if TYPE_CHECKING:
    from mindcode.cli.predict_backend import DeferredBackend
    from mindcode.evaluation.runner.evaluation import Evaluation
    from mindcode.evaluation.runner.run_files import RunFolder

PROG = "mindcode generate"
Then = Callable[["Evaluation", "RunFolder"], None]
"""What follows for each task when all answers are there."""


def main(argv: list[str]) -> int:
    """Generate; flags, files and tasks are checked before the weights are read."""
    run_tasks(make_job(*parse_arguments(argv, PROG, (GENERATION_ONLY,)), PROG), nothing_more)
    return 0


def nothing_more(evaluation: "Evaluation", folder: "RunFolder") -> None:
    """Say where the run is."""
    print(f"run: {folder.path}")


def run_tasks(job: EvaluateJob, then: Then) -> None:
    """Answer all tasks, one after the other. Of several processes the first one does this; the others follow it."""
    from mindcode.cli.predict_backend import DeferredBackend
    from mindcode.cli.predict_model import find_model
    from mindcode.cli.predict_team import start_team

    arguments = job.arguments
    evaluations = evaluations_of(job)
    team = start_team(job.config)
    if not team.crew.leads:
        team.crew.follow(team.build(job.config, find_model(job.config, arguments.model_file, team.weights)))
        return
    backend = DeferredBackend(job.config, team, arguments.model_file, arguments.chat_template, job.batch_size)
    for evaluation in evaluations:
        if evaluation.is_chat:
            backend.check_chat(f"--task {evaluation.task.name}", "another --prompt or --instruction_tokens")
    folders = [_folder(job, evaluation, backend) for evaluation in evaluations]
    for evaluation, folder in zip(evaluations, folders, strict=True):
        _generate(job, evaluation, backend, folder)
    team.crew.dismiss()
    for evaluation, folder in zip(evaluations, folders, strict=True):
        then(evaluation, folder)


def evaluations_of(job: EvaluateJob) -> "list[Evaluation]":
    """Return the tasks with all that decides their answers. Raises UserError for what cannot be asked."""
    from mindcode.cli.evaluate_tasks import matching_tasks, task_options, whole_task, with_task_ids
    from mindcode.evaluation.runner.answers import check_samples
    from mindcode.evaluation.runner.evaluation import Evaluation
    from mindcode.utils.errors import UserError

    options = task_options(job.arguments)
    check_samples(job.n_samples, job.sampling)
    found = []
    for name in matching_tasks(job.arguments.task, options):
        whole = whole_task(name, options)
        found.append(
            Evaluation(
                task=whole,
                options=with_task_ids(whole, options),
                model_name=job.model_name,
                sampling=job.sampling,
                n_samples=job.n_samples,
                seed=job.config.seed,
                dressing=job.dressing,
                device=job.config.context.device_target,
            )
        )
    for evaluation in found:
        _check(evaluation)
    paths = job.arguments.load_generations_intermediate_paths
    if paths and (len(paths) != len(found) or len(job.arguments.task) != len(found)):
        raise UserError(
            f"--load_generations_intermediate_paths: {len(paths)} files for {len(found)} tasks; one for each"
        )
    if job.arguments.resume_from and len(found) > 1:
        raise UserError(f"--resume_from: one run folder cannot hold {len(found)} tasks; give one --task")
    return found


def _check(evaluation: "Evaluation") -> None:
    from mindcode.cli.evaluate_tasks import chosen_problems
    from mindcode.utils.log import get_logger

    name, dressing = evaluation.task.name, evaluation.dressing
    chosen_problems(evaluation.task, evaluation.options)
    if not evaluation.is_chat and (dressing.system_prompt or dressing.instruction_tokens):
        get_logger().warning(
            "%s: its prompts are no chats, so system_prompt and instruction_tokens change nothing", name
        )


def _folder(job: EvaluateJob, evaluation: "Evaluation", backend: "DeferredBackend") -> "RunFolder":
    from mindcode.evaluation.runner.run_files import RunFolder

    if job.arguments.resume_from:
        return RunFolder(job.arguments.resume_from)
    folder = evaluation.folder(job.arguments.result_dir, backend.identity())
    if job.arguments.overwrite and folder.path.exists():
        with sole_writer(folder.samples):
            shutil.rmtree(folder.path)
    return folder


def _generate(job: EvaluateJob, evaluation: "Evaluation", backend: "DeferredBackend", folder: "RunFolder") -> None:
    from mindcode.evaluation.runner.evaluation import adopt, generate
    from mindcode.evaluation.runner.recording import record_generation, record_unfinished
    from mindcode.evaluation.runner.watched import Saving
    from mindcode.evaluation.tasks.descriptions import read_generations

    name, every = evaluation.task.name, job.arguments.save_every_k_tasks
    print(
        f"{name}: {len(evaluation.chosen)} problems, {evaluation.n_samples} samples each, "
        f"{evaluation.sampling.described()}, in {folder.path}"
    )
    path = _unfinished(job, name)
    if path is not None:
        print(f"{adopt(evaluation, backend, folder, read_generations(path))} samples from {path}")
    saving = Saving(backend, every, lambda: record_unfinished(evaluation, folder)) if every > 0 else backend
    summary = generate(evaluation, saving, folder)
    record_generation(evaluation, backend.identity(), folder)
    print(
        f"{summary.made} new answers with {summary.answer_tokens} tokens, {summary.kept} kept, "
        f"{summary.cut_off} cut off at the longest answer"
    )
    _copy(folder.generations(name, 1), job.arguments.save_generations_path, name)
    _copy(folder.references(name, 1), job.arguments.save_references_path, name)


def _unfinished(job: EvaluateJob, name: str) -> Path | None:
    """Return the generations of an earlier run that a task begins with: the file at the task's place in --task."""
    from mindcode.cli.evaluate_tasks import matching_tasks, task_options

    paths = job.arguments.load_generations_intermediate_paths
    tasks = matching_tasks(job.arguments.task, task_options(job.arguments))
    return dict(zip(tasks, paths, strict=True)).get(name) if paths else None


def _copy(source: Path, path: Path | None, name: str) -> None:
    """Copy a file to where the BigCode harness would have written it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path.with_name(f"{path.stem}_{name}.json"))
