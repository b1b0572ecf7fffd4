"""The answers to one benchmark that several copies of a network give: who answers what, and all of it put together."""

import dataclasses
import shutil
from dataclasses import asdict

from mindcode.evaluation.runner.evaluation import Evaluation
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.utils.json_file import read_json
from mindcode.utils.jsonl import JsonlAppender, read_jsonl, write_jsonl
from mindcode.utils.log import get_logger
from mindcode.utils.settings import other_settings, settings_path


def own_share(evaluation: Evaluation, number: int, copies: int) -> Evaluation | None:
    """Return what copy `number` is asked: every `copies`-th problem; None when there are fewer."""
    ids = tuple(problem.task_id for problem in evaluation.chosen[number::copies])
    options = dataclasses.replace(evaluation.options, ids=ids, limit=None, limit_start=0)
    return dataclasses.replace(evaluation, options=options) if ids else None


def share_folder(folder: RunFolder, number: int) -> RunFolder:
    """Return where copy `number` writes its answers."""
    return RunFolder(folder.path / f"copy_{number}")


def forget_other_shares(evaluation: Evaluation, folder: RunFolder) -> None:
    """Remove unfinished answers that were asked for in another way: another task, sampling, seed or version."""
    asked = {**evaluation.settings(), "sampling": asdict(evaluation.sampling), "seed": evaluation.seed}
    for share in folder.path.glob("copy_*"):
        samples = RunFolder(share).samples
        if not settings_path(samples).exists() or other_settings(samples, asked):
            get_logger().warning("%s: begun with other settings; its problems are answered anew", share)
            shutil.rmtree(share)


def gather_shares(evaluation: Evaluation, folder: RunFolder) -> None:
    """Put the answers of all copies into one file, in the order of the problems.

    An earlier start may have had more copies, or fewer, or asked more: an answer that two of them gave counts once.
    """
    place = {problem.task_id: number for number, problem in enumerate(evaluation.chosen)}
    shares = sorted(folder.path.glob("copy_*/samples.jsonl"))
    for share in shares:
        JsonlAppender(share).close()  # a kill may have cut off the last line of a copy that there is no more
    given = (row for share in shares for row in read_jsonl(share) if row["task_id"] in place)
    rows = {(place[row["task_id"]], row["sample"]): row for row in given}
    write_jsonl(folder.samples, (rows[key] for key in sorted(rows)))
    first = RunFolder(shares[0].parent)
    shutil.copyfile(settings_path(first.samples), settings_path(folder.samples))
    shutil.copyfile(first.timings, folder.timings)


def remove_shares(folder: RunFolder) -> None:
    """Remove what the copies wrote, once it is in the files of the run folder."""
    for share in folder.path.glob("copy_*"):
        shutil.rmtree(share)


def is_complete(folder: RunFolder) -> bool:
    """Whether all answers of a run folder are there."""
    return folder.summary.exists()


def is_scored(folder: RunFolder) -> bool:
    """Whether a complete run folder has its scores."""
    return "scores" in read_json(folder.summary)
