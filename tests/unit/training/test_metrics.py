"""The familiar step lines, the rows of metrics.jsonl, and what a continued run does with old rows."""

import dataclasses
import json
import math
from pathlib import Path

from mindcode.training.metrics import METRICS, RunLog, StepRow, drop_rows_after, step_lines
from mindcode.training.progress import RunLength
from mindcode.training.throughput import Usage
from mindcode.utils.jsonl import read_jsonl, write_jsonl

LENGTH = RunLength(steps_per_epoch=100, total_steps=200)
USAGE = Usage(
    tokens=1024,
    tokens_per_second=2000.4,
    tokens_per_second_per_process=250.05,
    mfu=0.41234,
    peak_memory_bytes=1_234_000_000,
    bubble_share=0.2,
)
ROW = StepRow(
    step=103,
    epoch=2,
    loss=2.3451,
    lr=1e-5,
    loss_scale=1.0,
    global_norm=1.234,
    overflow=False,
    step_seconds=0.512,
    wall_time=1.5e9,
    usage=USAGE,
)


class Points:
    """A curve writer that remembers."""

    def __init__(self) -> None:
        self.points: list[tuple[str, float, int]] = []

    def add(self, tag: str, value: float, step: int, wall_time: float) -> None:
        self.points.append((tag, value, step))

    def close(self) -> None:
        self.points.append(("closed", 0.0, 0))


def test_the_lines_look_as_they_always_did() -> None:
    first, second = step_lines(ROW, LENGTH, rows_per_process=4, remaining=3725)
    assert first.startswith("{ Epoch:[  2/  2], step:[    3/  100], loss: 2.345, per_step_time: 512ms, lr: 1e-05, ")
    familiar = "overflow cond: False, loss_scale: 1.0, global_norm: [1.234], "
    assert first.endswith(familiar + "tokens/s: 2000, tokens/s/p: 250, MFU: 41.2%, memory: 1.23GB")
    assert second == f"  51.5% |{'█' * 25:<50}| 7.81250 samples/s/p  1:02:05 }}"


def test_without_a_peak_there_is_no_utilization() -> None:
    usage = dataclasses.replace(USAGE, mfu=None)
    first, _ = step_lines(dataclasses.replace(ROW, usage=usage), LENGTH, rows_per_process=0.5, remaining=None)
    assert first.endswith("tokens/s/p: 250, memory: 1.23GB")


def test_every_step_is_a_row_and_some_are_shown(tmp_path: Path, messages: list[str]) -> None:
    curves = Points()
    log = RunLog(tmp_path, LENGTH, rows_per_process=4, every=2, curves=curves)
    for step in (1, 2):
        log.step(dataclasses.replace(ROW, step=step, epoch=1))
    log.evaluation(2, 3.5, 1.5e9)
    log.close()
    rows = list(read_jsonl(tmp_path / METRICS))
    assert rows[0] == dataclasses.replace(ROW, step=1, epoch=1).as_row()
    assert {"loss", "tokens", "tokens_per_second", "tokens_per_second_per_process", "mfu", "peak_memory_bytes"} < set(
        rows[0]
    )
    assert "usage" not in rows[0]
    assert rows[2] == {"step": 2, "eval_loss": 3.5, "wall_time": 1.5e9}
    assert len(messages) == 3  # two lines of step 2, one of the evaluation
    assert ("loss", 2.3451, 1) in curves.points
    assert ("eval_loss", 3.5, 2) in curves.points
    assert curves.points[-1][0] == "closed"


def test_only_the_process_with_a_folder_writes_rows(tmp_path: Path, messages: list[str]) -> None:
    log = RunLog(None, LENGTH, rows_per_process=4, every=1, curves=None)
    log.step(dataclasses.replace(ROW, step=1, epoch=1))
    log.evaluation(1, 3.5, 1.5e9)
    log.close()
    assert len(messages) == 3
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    log = RunLog(tmp_path, LENGTH, 4, 10, None)
    log.step(dataclasses.replace(ROW, loss=math.nan, global_norm=math.inf))
    log.close()
    row = json.loads((tmp_path / METRICS).read_text())
    assert row["loss"] is None
    assert row["global_norm"] is None


def test_rows_that_will_come_again_are_dropped(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "eval_loss": 1.0}, {"step": 3, "loss": 0.5}]
    write_jsonl(tmp_path / METRICS, rows)
    with open(tmp_path / METRICS, "a", encoding="utf-8") as stream:
        stream.write('{"step": 4, "lo')
    drop_rows_after(tmp_path, 2)
    assert list(read_jsonl(tmp_path / METRICS)) == rows[:3]
    drop_rows_after(tmp_path / "elsewhere", 2)
