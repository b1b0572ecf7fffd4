"""A run that is stopped, and goes on with other processes: the same data in the same order, the same losses."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.launching import free_port
from helpers.training import tiny_model_yaml, write_rows

from mindcode.utils.jsonl import read_jsonl

CONFIG = """
seed: 1
run_mode: train
context: {device_target: CPU}
runner_config: {epochs: 2, batch_size: 4, gradient_accumulation_steps: 2, sink_size: 2}
optimizer: {type: AdamW, weight_decay: 0.1, eps: 1.e-4}
lr_schedule: {type: CosineWithWarmUpLR, learning_rate: 2.e-3, warmup_ratio: 0.1}
train_dataset: {input_columns: [input_ids, labels]}
eval_dataset: {input_columns: [input_ids, labels], drop_remainder: False, num_samples: 9, data_loader: {shuffle: False}}
do_eval: True
eval_step_interval: 20
callbacks:
  - {type: CheckpointMonitor, prefix: tiny, save_checkpoint_steps: 25, keep_checkpoint_max: 2}
""" + tiny_model_yaml(vocab_size=40)
STEPS = 80
DATA_PARALLEL = (
    "--runner_config.batch_size=2",
    "--parallel_config.data_parallel=2",
    "--parallel.parallel_optimizer_config.parallel_optimizer_threshold=0",
)
TENSOR_PARALLEL = ("--parallel_config.model_parallel=2", "--parallel_config.use_seq_parallel=True")
CONTINUE = ("--resume_training=True", "--auto_trans_ckpt=True")
SAME_LOSSES = 1e-5
"""Relative: float32 adds up the same numbers in another order, over 80 steps of training."""


@dataclass(frozen=True)
class Place:
    """A folder with a configuration and data, in which runs of one process or two happen."""

    folder: Path
    program: Path

    def command(self, output_dir: str, *flags: str) -> list[str]:
        rows = str(self.folder / "data" / "rows.mindrecord")
        known = ["--config", "tiny.yaml", "--train_dataset_dir", rows, "--eval_dataset_dir", rows]
        return [str(self.program), *known, "--output_dir", output_dir, *flags]

    def alone(self, output_dir: str, *flags: str) -> str:
        """Run one process to its end; return what it said."""
        return self._ended(subprocess.Popen([sys.executable, *self.command(output_dir, *flags)], **self._streams()))

    def two(self, output_dir: str, *flags: str) -> str:
        """Run two processes to their end; return what the first one said."""
        return self._ended(self._two(output_dir, *flags))

    def two_stopped(self, output_dir: str, *flags: str, after_step: int) -> None:
        """Run two processes, and interrupt them once a step has been recorded."""
        metrics = self.folder / output_dir / "metrics.jsonl"
        job = self._two(output_dir, *flags)
        while job.poll() is None and not (metrics.exists() and f'"step": {after_step},' in metrics.read_text()):
            time.sleep(0.005)
        job.send_signal(signal.SIGINT)
        out, _ = job.communicate(timeout=120)
        assert job.returncode == 130, out

    def rows(self, output_dir: str) -> list[dict[str, float]]:
        """What must not depend on how often a run was started, and on which processes; without eval_loss, 0."""
        keys = ("step", "epoch", "loss", "lr", "global_norm", "eval_loss")
        found = read_jsonl(self.folder / output_dir / "metrics.jsonl")
        return [{key: float(row.get(key, 0)) for key in keys} for row in found]

    def _two(self, output_dir: str, *flags: str) -> subprocess.Popen[str]:
        launcher = [sys.executable, "-m", "mindcode", "launch", "--worker_num=2", f"--master_port={free_port()}"]
        launcher += ["--cluster_time_out=120", f"--log_dir={output_dir}-log"]
        return subprocess.Popen(
            [*launcher, *self.command(output_dir, "--use_parallel=True", *flags)], **self._streams()
        )

    def _streams(self) -> dict[str, object]:
        return {"cwd": self.folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}

    def _ended(self, process: subprocess.Popen[str]) -> str:
        out, _ = process.communicate(timeout=240)
        assert process.returncode == 0, out
        return out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Place:
    folder = tmp_path_factory.mktemp("resume")
    (folder / "tiny.yaml").write_text(CONFIG)
    write_rows(folder / "data", rows=STEPS * 4 + 3, row_length=13, vocab_size=40)
    return Place(folder, repository / "run_mindcode.py")


@pytest.fixture(scope="module")
def stopped(place: Place) -> str:
    """The output folder of two replicas that were interrupted."""
    place.two_stopped("stopped", *DATA_PARALLEL, after_step=3)
    steps = [row["step"] for row in place.rows("stopped")]
    assert 3 <= steps[-1] < STEPS, "both stop after the same step, long before the end"
    return "stopped"


def same(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, rel=SAME_LOSSES), row["step"]


def test_the_same_processes_continue_bit_for_bit(place: Place, stopped: str) -> None:
    whole = "replicas"
    place.two(whole, *DATA_PARALLEL)
    again = shutil.copytree(place.folder / stopped, place.folder / "again").name
    assert "continuing after step" in place.two(again, *DATA_PARALLEL)
    assert place.rows(again) == place.rows(whole)


def test_other_processes_continue_with_the_same_losses(place: Place, stopped: str) -> None:
    place.alone("alone")
    moved = shutil.copytree(place.folder / stopped, place.folder / "moved").name
    before = int(place.rows(moved)[-1]["step"])
    place.two_stopped(moved, *TENSOR_PARALLEL, *CONTINUE, after_step=before + 3)
    assert before < place.rows(moved)[-1]["step"] < STEPS
    assert "continuing after step" in place.alone(moved, *CONTINUE)
    same(place.rows(moved), place.rows("alone"))


def test_every_process_has_a_log_and_the_first_one_the_files(place: Place, stopped: str) -> None:
    logs = [(place.folder / stopped / "log" / f"rank_{rank}" / "info.log").read_text() for rank in range(2)]
    assert all("loss: " in log for log in logs)
    assert not list((place.folder / stopped).rglob("*.tmp"))
    files = {file.name for file in (place.folder / stopped).iterdir()}
    assert files == {"manifest.json", "metrics.jsonl", "log", "checkpoint"}
