"""What a run says about itself: MindFormers' step lines, metrics.jsonl, and TensorBoard where wanted.

A row of metrics.jsonl is a step (step, epoch, loss, lr, ...), a measurement on the evaluation rows (step,
eval_loss), or what a benchmark says (step, humaneval/pass@1).
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from mindcode.training.progress import RunLength
from mindcode.training.throughput import Usage
from mindcode.utils.jsonl import JsonlAppender, read_jsonl, write_jsonl
from mindcode.utils.log import get_logger

METRICS = "metrics.jsonl"
_BAR_WIDTH = 50
_CURVES = ("loss", "lr", "global_norm", "loss_scale", "tokens_per_second", "mfu", "peak_memory_bytes")


@dataclass(frozen=True)
class StepRow:
    """One optimizer step, as a row of metrics.jsonl."""

    step: int
    epoch: int
    loss: float
    lr: float
    loss_scale: float
    global_norm: float
    overflow: bool
    step_seconds: float
    wall_time: float
    """Seconds since 1970."""
    usage: Usage
    """Tokens/s, MFU, memory: keys of the row like the others."""

    def as_row(self) -> dict[str, Any]:
        """Return the keys and values of the row."""
        row = asdict(self)
        return row | row.pop("usage")


class ScalarWriter(Protocol):
    """Something that draws curves."""

    def add(self, tag: str, value: float, step: int, wall_time: float) -> None:
        """Add one point to the curve `tag`."""

    def close(self) -> None:
        """Write everything out."""


class RunLog:
    """Writes each step and measurement to all places.

    Every process shows the lines; one of them has an `output_dir`, and writes metrics.jsonl there.
    """

    def __init__(
        self,
        output_dir: Path | None,
        length: RunLength,
        rows_per_process: float,
        every: int,
        curves: ScalarWriter | None,
    ) -> None:
        self._length, self._rows_per_process, self._every = length, rows_per_process, every
        self._curves = curves
        self._file = JsonlAppender(output_dir / METRICS) if output_dir else None
        self._recent: list[float] = []

    def step(self, row: StepRow) -> None:
        """Record one step; every `every` steps, and the last one, are shown."""
        values = row.as_row()
        self._write(values)
        self._recent.append(row.step_seconds)
        if self._curves:
            for tag in (tag for tag in _CURVES if values[tag] is not None):
                self._curves.add(tag, values[tag], row.step, row.wall_time)
        if row.step % self._every == 0 or row.step == self._length.total_steps:
            for line in step_lines(row, self._length, self._rows_per_process, self._remaining(row)):
                get_logger().info(line)

    def evaluation(self, step: int, loss: float, wall_time: float) -> None:
        """Record the loss on the evaluation rows after `step`."""
        self._write({"step": step, "eval_loss": loss, "wall_time": wall_time})
        if self._curves:
            self._curves.add("eval_loss", loss, step, wall_time)
        get_logger().info("step:[%5d/%5d], eval_loss: %.4f", step, self._length.total_steps, loss)

    def scores(self, step: int, scores: Mapping[str, float], wall_time: float) -> None:
        """Record what a benchmark says of the weights after `step`, by `task/pass@k`; later steps may stand before."""
        self._write({"step": step, **scores, "wall_time": wall_time})
        for name, score in scores.items():
            if self._curves:
                self._curves.add(name, score, step, wall_time)
            get_logger().info("step:[%5d/%5d], %s: %.4f", step, self._length.total_steps, name, score)

    def close(self) -> None:
        """Flush everything."""
        if self._file:
            self._file.close()
        if self._curves:
            self._curves.close()

    def _write(self, row: dict[str, Any]) -> None:
        if self._file:
            self._file.append(_finite(row))

    def _remaining(self, row: StepRow) -> float | None:
        """Seconds, from the median of the last steps; the first step of a process compiles and says nothing."""
        recent = self._recent[1:][-20:]
        return median(recent) * (self._length.total_steps - row.step) if recent else None


def step_lines(row: StepRow, length: RunLength, rows_per_process: float, remaining: float | None) -> tuple[str, str]:
    """Return the two lines that MindFormers' users know, with speed, utilization and memory added.

    `/p` is for each process; samples/s/p counts the `rows_per_process` of a step, which tensor parts and stages share.
    """
    position, done = length.position(row.step), row.step / length.total_steps
    first = (
        f"{{ Epoch:[{row.epoch:3d}/{length.epochs:3d}], step:[{position.step:5d}/{length.steps_per_epoch:5d}], "
        f"loss: {row.loss:5.3f}, per_step_time: {row.step_seconds * 1000:.0f}ms, lr: {row.lr:.6g}, "
        f"overflow cond: {row.overflow}, loss_scale: {row.loss_scale}, global_norm: [{row.global_norm:.4g}], "
        f"{_usage_words(row.usage)}"
    )
    bar = "█" * int(_BAR_WIDTH * done)
    speed = rows_per_process / max(row.step_seconds, 1e-9)
    left = "-:--:--" if remaining is None else datetime.timedelta(seconds=round(remaining))
    return first, f"  {100 * done:4.1f}% |{bar:<{_BAR_WIDTH}}| {speed:.5f} samples/s/p  {left} }}"


def _usage_words(usage: Usage) -> str:
    """`tokens/s: 200, tokens/s/p: 50, MFU: 41.0%, memory: 1.20GB`; no MFU where there is no peak to compare with."""
    utilization = "" if usage.mfu is None else f"MFU: {100 * usage.mfu:.1f}%, "
    return (
        f"tokens/s: {usage.tokens_per_second:.0f}, tokens/s/p: {usage.tokens_per_second_per_process:.0f}, "
        f"{utilization}memory: {usage.peak_memory_bytes / 1e9:.2f}GB"
    )


def recorded_scores(output_dir: Path) -> set[tuple[int, str]]:
    """Return step and name of the benchmarks whose scores are in metrics.jsonl."""
    path = output_dir / METRICS
    rows = read_jsonl(path) if path.exists() else ()
    return {(row["step"], key.rpartition("/")[0]) for row in rows for key in row if "/" in key}


def drop_rows_after(output_dir: Path, step: int) -> None:
    """Remove from metrics.jsonl what a continued run will write again: all rows of later steps."""
    path = output_dir / METRICS
    if not path.exists():
        return
    JsonlAppender(path).close()
    rows = list(read_jsonl(path))
    kept = [row for row in rows if row["step"] <= step]
    if len(kept) < len(rows):
        write_jsonl(path, kept)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers that JSON does not know become null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
