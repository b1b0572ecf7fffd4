"""Reading a run folder: whatever is there becomes a `RunRecord`, whatever is not stays empty.

record = collect(Path("output/run"))
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.metrics import ProblemResult, pass_at_k, per_problem, standard_error
from mindcode.evaluation.types import Verdict
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl

_KS = (1, 10, 100)


@dataclass(frozen=True)
class Step:
    """One optimizer step of metrics.jsonl; values that are missing or not finite are None."""

    step: int
    loss: float | None
    lr: float | None
    tokens_per_second: float | None
    tokens: float | None
    tokens_per_second_per_process: float | None
    mfu: float | None
    peak_memory_bytes: float | None
    bubble_share: float | None


@dataclass(frozen=True)
class ScoredSample:
    """One line of a samples file, with its verdict where there is one."""

    task_id: str
    completion: str
    answer: str
    finish_reason: str
    verdict: Verdict | None


@dataclass(frozen=True)
class RunRecord:
    """Everything a page can tell about a run."""

    name: str
    manifest: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    evaluations: tuple[tuple[int, float], ...] = ()
    """(step, evaluation loss)."""
    overflows: int = 0
    samples: tuple[ScoredSample, ...] = ()
    settings: Mapping[str, Any] | None = None
    """How the samples were generated."""
    timings: tuple[tuple[str, float], ...] = ()
    """(stage, seconds)."""

    @property
    def problems(self) -> tuple[ProblemResult, ...]:
        """Verdicts by problem, HumanEval/9 before HumanEval/10; empty before scoring."""
        results = per_problem(sample.verdict for sample in self.samples if sample.verdict)
        return tuple(sorted(results, key=lambda result: _by_number(result.task_id)))

    @property
    def counts(self) -> list[tuple[int, int]]:
        """(samples, passed) of each problem."""
        return [(problem.samples, problem.passed) for problem in self.problems]

    @property
    def scores(self) -> dict[int, tuple[float, float]]:
        """k -> (pass@k, its standard error)."""
        return {k: (value, standard_error(self.counts, k)) for k, value in pass_at_k(self.counts, _KS).items()}


def collect(run_dir: Path, samples: Path | None = None) -> RunRecord:
    """Read what `run_dir` holds; `samples` defaults to `run_dir`/samples.jsonl.

    Raises UserError when the folder, or a samples file that was asked for, does not exist, and for damaged files.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run folder")
    if samples and not samples.is_file():
        raise UserError(f"{samples}: no such samples file")
    samples_file = samples or run_dir / "samples.jsonl"
    rows = _rows(run_dir / "metrics.jsonl")
    return RunRecord(
        name=run_dir.resolve().name,
        manifest=_json(run_dir / "manifest.json") or {},
        steps=tuple(_step(row) for row in rows if "loss" in row and "step" in row),
        evaluations=tuple(_evaluations(rows)),
        overflows=sum(bool(row.get("overflow")) for row in rows),
        samples=tuple(_samples(samples_file)),
        settings=_json(samples_file.with_name(samples_file.name + ".settings.json")),
        timings=_timings(_rows(run_dir / "timings.jsonl")),
    )


def _by_number(task_id: str) -> tuple[str, int, str]:
    name, _, number = task_id.rpartition("/")
    return name, int(number) if number.isdecimal() else 0, number


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(path)) if path.is_file() else []


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        step=int(row["step"]),
        loss=_number(row["loss"]),
        lr=_number(row.get("lr")),
        tokens_per_second=_number(row.get("tokens_per_second")),
        tokens=_number(row.get("tokens")),
        tokens_per_second_per_process=_number(row.get("tokens_per_second_per_process")),
        mfu=_number(row.get("mfu")),
        peak_memory_bytes=_number(row.get("peak_memory_bytes")),
        bubble_share=_number(row.get("bubble_share")),
    )


def _evaluations(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    points = [(int(row["step"]), _number(row.get("eval_loss"))) for row in rows if "eval_loss" in row]
    return [(step, loss) for step, loss in points if loss is not None]


def _samples(path: Path) -> list[ScoredSample]:
    results = path.with_name(path.name + "_results.jsonl")
    return [_sample(row) for row in _rows(results if results.is_file() else path)]


def _sample(row: Mapping[str, Any]) -> ScoredSample:
    task_id = str(row.get("task_id", ""))
    verdict = Verdict(task_id, bool(row["passed"]), str(row.get("result", ""))) if "passed" in row else None
    completion = str(row.get("completion", ""))
    return ScoredSample(
        task_id, completion, str(row.get("answer", completion)), str(row.get("finish_reason", "")), verdict
    )


def _timings(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    """Add up the calls of each stage: a stage that was interrupted has several."""
    total: dict[str, float] = {}
    for row in rows:
        name = str(row.get("stage", ""))
        total[name] = total.get(name, 0.0) + (_number(row.get("seconds")) or 0.0)
    return tuple(total.items())
