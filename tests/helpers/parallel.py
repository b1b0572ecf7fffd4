"""Splits of a few training steps, and a launcher of real processes: for the proofs of tests/parallel."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import (
    ContextConfig,
    ModelSection,
    OptimizerConfig,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
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

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.dp * self.tp * self.pp

    @property
    def alone(self) -> "Case":
        """The same computation on one process."""
        return replace(self, dp=1, tp=1, pp=1, sequence=False, zero=False, offset=0)

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
        )
        validate(config)
        return config


def launch(cases: Sequence[str], processes: int, folder: Path, port: int) -> list[dict[str, np.ndarray]]:
    """Run the named cases of tests/parallel/cases.py with msrun; return what each rank left in its .npz file."""
    folder.mkdir(parents=True, exist_ok=True)
    msrun = shutil.which("msrun") or str(Path(sys.executable).parent / "msrun")
    command = [msrun, f"--worker_num={processes}", f"--local_worker_num={processes}", "--master_addr=127.0.0.1"]
    command += [f"--master_port={port}", "--join=True", "--cluster_time_out=120", f"--log_dir={folder / 'log'}"]
    command += [str(WORKER), str(folder), *cases]
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(WORKER.parent.parent)}
    done = subprocess.run(
        command, cwd=folder, env=environment, timeout=400, capture_output=True, text=True, start_new_session=True
    )
    logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted((folder / "log").glob("worker_*.log")))
    assert done.returncode == 0, logs
    return [dict(np.load(folder / f"rank_{rank}.npz")) for rank in range(processes)]
