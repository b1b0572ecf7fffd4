"""Splits of a few training steps, and a launcher of real processes: for the proofs of tests/parallel."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from helpers.launching import free_port
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import (
    ContextConfig,
    ModelSection,
    OptimizerConfig,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
    RecomputeConfig,
    RunConfig,
    RunnerConfig,
)
from mindcode.config.validate import validate

WORKER = Path(__file__).resolve().parent.parent / "parallel" / "worker.py"
STEPS, ROWS = 3, 8
ROW_LENGTH = 12


@dataclass(frozen=True)
class Case:
    """One way to share a step of eight rows, and the model that it trains."""

    dp: int = 1
    tp: int = 1
    pp: int = 1
    micro_batches: int = 1
    sequence: bool = False
    zero: bool = False
    tied: bool = False
    kv_heads: int = 2
    layers: int = 2
    offset: tuple[int, ...] | int = 0
    dtype: str = "float32"
    recompute: bool = False
    loss_scales: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.dp * self.tp * self.pp

    @property
    def alone(self) -> "Case":
        """The same computation on one process."""
        return replace(self, dp=1, tp=1, pp=1, sequence=False, zero=False, recompute=False, offset=0)

    @property
    def config(self) -> RunConfig:
        """What a YAML file for it would say."""
        model = ModelConfig(
            seq_length=ROW_LENGTH,
            hidden_size=32,
            num_layers=self.layers,
            num_heads=4,
            n_kv_heads=self.kv_heads,
            vocab_size=64,
            intermediate_size=48,
            tie_word_embeddings=self.tied,
            offset=self.offset,
            init_method_std=0.2,
            compute_dtype=self.dtype,
            param_init_type=self.dtype,
        )
        config = RunConfig(
            use_parallel=self.world > 1,
            context=ContextConfig(device_target="CPU"),
            model=ModelSection(model_config=model),
            runner_config=RunnerConfig(
                batch_size=ROWS // self.micro_batches // self.dp,
                gradient_accumulation_steps=self.micro_batches if self.pp == 1 else 1,
            ),
            # a large eps: Adam divides by the gradient's own size, which makes noise of the smallest ones
            optimizer=OptimizerConfig(eps=1e-3, weight_decay=0.1),
            parallel=ParallelContextConfig(
                enable_parallel_optimizer=self.zero,
                parallel_optimizer_config=ParallelOptimizerConfig(parallel_optimizer_threshold=0),
            ),
            parallel_config=ParallelConfig(
                data_parallel=self.dp,
                model_parallel=self.tp,
                pipeline_stage=self.pp,
                micro_batch_num=self.micro_batches,
                use_seq_parallel=self.sequence,
            ),
            recompute_config=RecomputeConfig(recompute=self.recompute),
        )
        validate(config)
        return config


def launch(
    cases: Sequence[str],
    processes: int,
    folder: Path,
    launcher: Sequence[str] = ("mindcode", "launch"),
    worker: Path = WORKER,
) -> list[dict[str, np.ndarray]]:
    """Run the named cases of a worker, by default tests/parallel/cases.py; return what each rank left in its .npz.

    Under another launcher than ours, such as MindSpore's msrun, groups add up through AllReduce instead of memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flags = {"worker_num": processes, "master_port": free_port(), "cluster_time_out": 120, "log_dir": folder / "log"}
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PYTHONPATH": str(WORKER.parent.parent), "PATH": f"{scripts}:{os.environ['PATH']}"}
    command = [scripts / launcher[0], *launcher[1:], *(f"--{name}={value}" for name, value in flags.items())]
    command += [worker, folder, *cases]
    done = subprocess.run(command, cwd=folder, env=environment, timeout=600, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dict(np.load(folder / f"rank_{rank}.npz")) for rank in range(processes)]
