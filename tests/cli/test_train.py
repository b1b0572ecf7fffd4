"""mindcode train as a process: killed and started again, interrupted, refused; and the loss it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.checkpoints import load_float32
from helpers.training import tiny_model_yaml, write_rows

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, read_ckpt
from mindcode.cli.train import main as train
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl

CONFIG = """
seed: 1
run_mode: train
use_parallel: False
context: {device_target: CPU}
runner_config: {epochs: 2, batch_size: 2, gradient_accumulation_steps: 2, sink_size: 1}
optimizer: {type: AdamW, weight_decay: 0.1}
lr_schedule: {type: CosineWithWarmUpLR, learning_rate: 1.e-2, warmup_ratio: 0.1}
train_dataset: {input_columns: [input_ids, labels]}
eval_dataset: {input_columns: [input_ids, labels], drop_remainder: False, data_loader: {shuffle: False}}
do_eval: True
eval_step_interval: 4
callbacks:
  - {type: CheckpointMonitor, prefix: tiny, save_checkpoint_steps: 3, keep_checkpoint_max: 2}
""" + tiny_model_yaml(vocab_size=37)
STEPS = 12


@dataclass(frozen=True)
class Place:
    """A folder with a configuration and data, in which commands run."""

    folder: Path

    def command(self, *flags: str) -> list[str]:
        rows = str(self.folder / "data" / "rows.mindrecord")
        known = ["--config", "tiny.yaml", "--train_dataset_dir", rows, "--eval_dataset_dir", rows]
        return [sys.executable, "-m", "mindcode", "train", *known, *flags]

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*flags), cwd=self.folder, capture_output=True, text=True, check=False)

    def stopped(self, output_dir: str, after_step: int, number: signal.Signals) -> int:
        """Start a run, send a signal once a step has been recorded, and return the exit code."""
        process = subprocess.Popen(
            self.command("--output_dir", output_dir), cwd=self.folder, stderr=subprocess.DEVNULL, start_new_session=True
        )
        metrics = self.folder / output_dir / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and f'"step": {after_step},' in metrics.read_text()):
            time.sleep(0.005)
        os.kill(process.pid, number)
        return process.wait()

    def rows(self, output_dir: str) -> list[tuple[object, ...]]:
        """What must not depend on how often a run was started."""
        keys = ("step", "epoch", "loss", "lr", "global_norm", "eval_loss")
        return [tuple(row.get(key) for key in keys) for row in read_jsonl(self.folder / output_dir / "metrics.jsonl")]

    def network(self, output_dir: str) -> Path:
        return self.folder / output_dir / "checkpoint_network" / "rank_0" / "tiny_rank_0-network.ckpt"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("train")
    (folder / "tiny.yaml").write_text(CONFIG)
    write_rows(folder / "data", rows=26, row_length=13, vocab_size=37)
    return Place(folder)


@pytest.fixture(scope="module")
def whole(place: Place) -> str:
    """The output folder of a run that nothing disturbed."""
    done = place.run("--output_dir", "whole")
    assert done.returncode == 0, done.stderr
    return "whole"


def test_a_run_leaves_what_it_promises(place: Place, whole: str) -> None:
    rows = place.rows(whole)
    assert [row[0] for row in rows if row[2] is not None] == list(range(1, STEPS + 1))
    assert [row[0] for row in rows if row[5] is not None] == [4, 8, 12]
    checkpoints = place.folder / whole / "checkpoint" / "rank_0"
    assert {p.name for p in checkpoints.iterdir()} == {"meta.json", "tiny_rank_0-2_3.ckpt", "tiny_rank_0-2_6.ckpt"}
    names = {record.name for record in read_ckpt(checkpoints / "tiny_rank_0-2_6.ckpt")}
    weights = {record.name for record in read_ckpt(place.network(whole))}
    assert {f"{prefix}{name}" for prefix in ("", "adam_m.", "adam_v.") for name in weights} < names
    assert json.loads((place.folder / whole / "manifest.json").read_text())["seed"] == 1
    log = (place.folder / whole / "log" / "rank_0" / "info.log").read_text()
    assert "{ Epoch:[  1/  2], step:[    1/    6], loss: " in log


def test_killed_and_started_again_is_the_same_run(place: Place, whole: str) -> None:
    assert place.stopped("killed", after_step=8, number=signal.SIGKILL) == -signal.SIGKILL
    again = place.run("--output_dir", "killed")
    assert again.returncode == 0, again.stderr
    assert "continuing after step 6 of 12" in again.stderr or "continuing after step 9 of 12" in again.stderr
    assert place.rows("killed") == place.rows(whole)
    expected, found = load_float32(place.network(whole)), load_float32(place.network("killed"))
    assert expected.keys() == found.keys()
    assert all((found[name] == value).all() for name, value in expected.items())


def test_an_interrupt_saves_first_and_a_finished_run_says_so(place: Place, whole: str) -> None:
    assert place.stopped("interrupted", after_step=1, number=signal.SIGINT) == 130
    done = place.run("--output_dir", "interrupted", "--resume_training", "True")
    assert done.returncode == 0, done.stderr
    assert place.rows("interrupted") == place.rows(whole)
    finished = place.run("--output_dir", "interrupted")
    assert finished.returncode == 0
    assert "already finished: 12 steps" in finished.stderr


def test_weights_that_do_not_fit_are_refused_in_one_line(place: Place) -> None:
    path = place.folder / "foreign.ckpt"
    with CkptWriter(path) as writer:
        writer.add(TensorRecord("encoder.weight", "Float32", np.ones(3, np.float32)))
    done = place.run("--output_dir", "refused", "--load_checkpoint", str(path), "--run_mode", "finetune")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"mindcode: error: {path}: does not fit model.model_config: 21 missing (")
    assert not (place.folder / "refused" / "manifest.json").exists()


def test_rows_that_do_not_fit_are_refused_before_anything_is_written(place: Place) -> None:
    done = place.run("--output_dir", "misfit", "--model.model_config.seq_length", "10")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("mindcode: error: model.model_config.seq_length: 10, but the dataset's rows have 13 tokens")
    assert [path.name for path in (place.folder / "misfit").iterdir()] == ["log"]


def test_what_this_command_does_not_do(place: Place) -> None:
    config = str(place.folder / "tiny.yaml")
    with pytest.raises(UserError, match="run_mode: predict, but this command trains"):
        train(["--config", config, "--run_mode", "predict"])
    folder = place.folder / "planned"
    assert train(["--config", config, "--only_save_strategy", "True", "--output_dir", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["strategy"]


def test_the_loss_of_trained_weights_can_be_measured(place: Place, whole: str) -> None:
    done = place.run("--run_mode", "eval", "--load_checkpoint", str(place.network(whole)), "--output_dir", "eval")
    assert done.returncode == 0, done.stderr
    measured = place.rows(whole)[-1][5]
    assert isinstance(measured, float)
    assert done.stdout.startswith(f"eval_loss: {measured:.6f}, perplexity: ")


def test_a_loss_that_is_no_number_ends_the_run(place: Place) -> None:
    done = place.run("--output_dir", "diverged", "--lr_schedule.learning_rate", "1e30")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("mindcode: error: step ")
    assert "the last checkpoint is intact (" in last
