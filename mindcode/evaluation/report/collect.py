"""Reading a run folder: whatever is there becomes a `RunRecord`, whatever is not stays empty.

record = collect(Path("output/run"))
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindcode.evaluation.metrics import ProblemResult, pass_at_k, per_problem, standard_error
from mindcode.evaluation.types import Verdict
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json
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
    program: str
    """What was tested: the completion, or the whole solution."""
    answer: str
    finish_reason: str
    verdict: Verdict | None

    @property
    def passed(self) -> bool:
        """Whether it is right."""
        return self.verdict is not None and self.verdict.passed

    @property
    def labels(self) -> tuple[str, ...]:
        """The kind of its verdict, and whether the answer was cut off or empty."""
        kind = "not scored"
        if self.verdict:
            kind = self.verdict.kind or self.verdict.result.partition(":")[0]
        return (kind, *["cut off"] * (self.finish_reason == "length"), *["empty"] * (not self.answer.strip()))


@dataclass(frozen=True)
class Asked:
    """What a page shows of a problem: name of the function, language, and the prompt as (speaker, words)."""

    name: str
    language: str
    turns: tuple[tuple[str, str], ...]


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
    benchmarks: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """What benchmarks said during training: task/pass@k -> step and score."""
    settings: Mapping[str, Any] | None = None
    """How the samples were generated."""
    timings: tuple[tuple[str, float], ...] = ()
    """(stage, seconds)."""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """What scoring wrote: configuration, scores by group, limits, protections."""
    asked: Mapping[str, Asked] = field(default_factory=dict)
    """task_id -> what the model was given, as results.json has it."""

    @property
    def task(self) -> str:
        """The name of the benchmark."""
        return str(((self.summary.get("configuration") or {}).get("task") or {}).get("name") or "HumanEval")

    @property
    def answers(self) -> dict[str, list[ScoredSample]]:
        """Samples by problem, HumanEval/9 before HumanEval/10."""
        found: dict[str, list[ScoredSample]] = {}
        for sample in sorted(self.samples, key=lambda sample: _by_number(sample.task_id)):
            found.setdefault(sample.task_id, []).append(sample)
        return found

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
        """k -> (pass@k, its standard error), for the k that were asked for."""
        asked = (self.summary.get("scores") or {}).get("pass_at_k") or {}
        ks = sorted(int(name.removeprefix("pass@")) for name in asked) or _KS
        return {k: (value, standard_error(self.counts, k)) for k, value in pass_at_k(self.counts, ks).items()}


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
        benchmarks=_benchmarks(rows),
        overflows=sum(bool(row.get("overflow")) for row in rows),
        samples=tuple(_samples(samples_file)),
        settings=_json(samples_file.with_name(samples_file.name + ".settings.json")),
        timings=_timings(_rows(run_dir / "timings.jsonl")),
        summary=(None if samples else _json(run_dir / "summary.json"))
        or _json(samples_file.with_name(samples_file.name + "_summary.json"))
        or {},
        asked=_asked(_json(run_dir / "results.json") or {}),
    )


def _by_number(task_id: str) -> tuple[str, int, str]:
    name, _, number = task_id.rpartition("/")
    return name, int(number) if number.isdecimal() else 0, number


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(path)) if path.is_file() else []


def _json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


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


def _benchmarks(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[tuple[float, float], ...]]:
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        for name in (name for name in row if "/" in name):
            found.setdefault(name, {})[float(row["step"])] = float(row[name])
    return {name: tuple(sorted(points.items())) for name, points in found.items()}


def _samples(path: Path) -> list[ScoredSample]:
    results = path.with_name(path.name + "_results.jsonl")
    rows = _rows(results if results.is_file() else path)
    return [_sample(row) for row in sorted(rows, key=lambda row: _number(row.get("sample")) or 0.0)]


def _sample(row: Mapping[str, Any]) -> ScoredSample:
    task_id, verdict = str(row.get("task_id", "")), None
    if "passed" in row:
        verdict = Verdict(task_id, bool(row["passed"]), str(row.get("result", "")), kind=str(row.get("kind", "")))
    program = str(row.get("completion", row.get("solution", "")))
    return ScoredSample(task_id, program, str(row.get("answer", program)), str(row.get("finish_reason", "")), verdict)


def _asked(results: Mapping[str, Any]) -> dict[str, Asked]:
    """Read the prompts of results.json; entries that name no problem are left out."""
    entries = [entry for entry in results.values() if isinstance(entry, dict) and "task_id" in entry]
    return {
        str(entry["task_id"]): Asked(
            name=str(entry.get("entry_point", "")),
            language=str(entry.get("language", "")),
            turns=tuple((str(turn["role"]), str(turn["content"])) for turn in entry.get("input_conversation", ())),
        )
        for entry in entries
    }


def _timings(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    """Add up the calls of each stage: a stage that was interrupted has several."""
    total: dict[str, float] = {}
    for row in rows:
        name = str(row.get("stage", ""))
        total[name] = total.get(name, 0.0) + (_number(row.get("seconds")) or 0.0)
    return tuple(total.items())
