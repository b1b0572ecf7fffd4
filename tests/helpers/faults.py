"""A training run of several processes, of which one is killed again and again, and what must hold then."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.launching import ROOT, Place, ended, wait_for
from helpers.training import tiny_model_yaml
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.checkpoint.verify import targets, verify
from mindcode.parallel.plan import Placement
from mindcode.utils.jsonl import read_jsonl

ROWS_PER_STEP, ROW_LENGTH, VOCAB_SIZE = 4, 12, 40
SAVE_EVERY = 4
PATIENCE_SECONDS = 300.0
"""Only a limit for machines that are very busy; what is usual is printed."""
MEASURED = ("step", "epoch", "loss", "lr", "global_norm", "loss_scale", "overflow")


@dataclass(frozen=True)
class Split:
    """How a run is divided."""

    processes: int
    flags: str
    async_save: bool = False
    """Checkpoints are written while training goes on."""
    tolerance: float = 0.0
    """Relative difference, in the end, from a run that nobody disturbed; see LAST_BIT."""


LAST_BIT = 1e-5
"""Two runs of stages from the same step are equal bit for bit, and so is the first step after a continuation; from the
second one on, last bits may differ from a run that was not interrupted: MindSpore's CPU kernels try out in their first
calls how best to share their work, and a process that starts again tries again. 100 steps make 1e-6 of it."""

SPLITS = {
    "2 replicas, moments shared out": Split(
        2,
        "--runner_config.batch_size=2 --parallel_config.data_parallel=2 "
        "--parallel.parallel_optimizer_config.parallel_optimizer_threshold=0",
    ),
    "2 stages of 2 parts": Split(
        4,
        "--parallel_config.model_parallel=2 --parallel_config.pipeline_stage=2 --parallel_config.micro_batch_num=4 "
        "--parallel_config.use_seq_parallel=True",
        tolerance=LAST_BIT,
    ),
    "2 stages, saving in the background": Split(
        2,
        "--parallel_config.pipeline_stage=2 --parallel_config.micro_batch_num=4",
        async_save=True,
        tolerance=LAST_BIT,
    ),
}


def configuration(split: Split) -> str:
    """Return the YAML file of a run, all but the degrees."""
    return f"""
seed: 3
run_mode: train
use_parallel: True
context: {{device_target: CPU}}
runner_config: {{epochs: 1, batch_size: 1, sink_size: 50}}
optimizer: {{type: AdamW, weight_decay: 0.1, eps: 1.e-4}}
lr_schedule: {{type: CosineWithWarmUpLR, learning_rate: 2.e-3, warmup_ratio: 0.1}}
train_dataset: {{input_columns: [input_ids, labels]}}
callbacks:
  - {{type: CheckpointMonitor, prefix: tiny, save_checkpoint_steps: {SAVE_EVERY}, keep_checkpoint_max: 3,
     async_save: {split.async_save}}}
{tiny_model_yaml(VOCAB_SIZE)}"""


@dataclass(frozen=True)
class Kill:
    """Whom to kill, and when: after so many new steps, at the sign of a moment, and a little later."""

    rank: int
    moment: str
    """"start" while it imports and compiles, "step" while it trains, "save" when a file of a checkpoint appears."""
    steps: int
    seconds: float


def kills(seed: int, count: int, processes: int) -> list[Kill]:
    """Return `count` kills of each rank in turn, half of them aimed at the moments of saving."""
    chance = random.Random(seed)
    latest = {"start": 6.0, "step": 0.05, "save": 0.01}
    moments = ["save", "save", "step", "step", "save", "start"] * count
    return [
        Kill(number % processes, moment, chance.randint(1, 8), chance.uniform(0, latest[moment]))
        for number, moment in enumerate(moments[:count])
    ]


@dataclass(frozen=True)
class Training:
    """One output folder, and the command that trains into it."""

    place: Place
    split: Split
    output: str

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self.place.folder / self.output

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.folder / "checkpoint"

    def start(self) -> subprocess.Popen[str]:
        """Run the command; it is always the same."""
        shutil.rmtree(self.place.folder / "log", ignore_errors=True)
        train = f"{ROOT}/run_mindcode.py --config tiny.yaml --train_dataset_dir data --output_dir {self.output}"
        port, processes = str(self.place.port), str(self.split.processes)
        return self.place.script(f"{train} {self.split.flags}", processes, port, "log", "True", "300")

    def finish(self) -> str:
        """Run to the end; return what the first process said."""
        code, out, err = ended(self.start(), PATIENCE_SECONDS)
        assert code == 0, out + err
        assert self.place.left_over() == []
        return out

    def strike(self, kill: Kill) -> str:
        """Start, kill one process with SIGKILL, and see that everything ends as it should; return a line about it."""
        before = self.newest_step()
        launcher = self.start()
        self._await(launcher, lambda: len(self.place.left_over()) > self.split.processes, every=0.05)
        victim = self.place.worker(kill.rank)
        self._await_moment(launcher, kill)
        time.sleep(kill.seconds)
        complete = max(
            (_step(name) for name in self._files() if name.endswith(".json") and not name.startswith((".", "meta"))),
            default=0,
        )
        os.kill(victim, signal.SIGKILL)
        struck = time.monotonic()
        code, out, err = ended(launcher, PATIENCE_SECONDS)
        seconds = time.monotonic() - struck
        assert code == 128 + signal.SIGKILL, out + err
        assert f"rank {kill.rank} was ended by SIGKILL" in err, err
        assert self.place.left_over() == []
        assert before == 0 or f"continuing after step {before} of" in out or kill.moment == "start", out
        assert self.newest_step() >= complete, "a checkpoint that was whole is lost"
        whole = self.verified()
        return (
            f"rank {kill.rank} {kill.moment:5} at step {self.last_step():3}: job over {seconds:.1f} s later, "
            f"exit code {code}, {whole} whole checkpoints, newest after step {self.newest_step()}"
        )

    def verified(self) -> int:
        """Read every checkpoint to its last byte; return how many there are."""
        found = targets(self.checkpoints) if self.newest_step() else []
        for path in found:
            assert verify(path, lambda count: None).problems == ()
        return len(found)

    def newest_step(self) -> int:
        """The step after which the newest whole checkpoint was written; 0 without one."""
        newest = ShardedStore(self.folder, "tiny", keep=3).newest()
        return _step(newest.name) if newest else 0

    def last_step(self) -> int:
        """The last step that is recorded."""
        rows = self.rows()
        return int(rows[-1]["step"]) if rows else 0

    def rows(self) -> list[dict[str, float]]:
        """What was measured, without the times."""
        path = self.folder / "metrics.jsonl"
        return [{key: float(row[key]) for key in MEASURED} for row in read_jsonl(path)] if path.exists() else []

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and the optimizer's state at the end, whole."""
        tensors = open_checkpoint(self.checkpoints).tensors
        return {
            name: tensor.read(Placement(tensor.shape, (0,) * len(tensor.shape), tensor.shape))
            for name, tensor in tensors.items()
        }

    def _await_moment(self, launcher: subprocess.Popen[str], kill: Kill) -> None:
        if kill.moment == "start":
            return
        self._await(launcher, lambda: "compiling the step" in self.place.log("worker_0.log"))
        target = self.last_step() + kill.steps
        self._await(launcher, lambda: self.last_step() >= target)
        if kill.moment == "save":
            there = self._files()
            self._await(launcher, lambda: bool(self._files() - there))

    def _await(self, launcher: subprocess.Popen[str], condition: Callable[[], bool], every: float = 0.001) -> None:
        wait_for(lambda: condition() or launcher.poll() is not None, PATIENCE_SECONDS, every)
        assert launcher.poll() is None, "it ended before it was struck"

    def _files(self) -> set[str]:
        """The names of all files of checkpoints, also of those that are being written."""
        found: set[str] = set()
        for _, _, files in os.walk(self.checkpoints):
            found.update(files)
        return found


def _step(name: str) -> int:
    """The step in the name of a manifest."""
    return int(Path(name).stem.rpartition("_")[2])
