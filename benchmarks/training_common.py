"""What benchmarks of whole training runs share: random rows, a run of one process or several, its metrics."""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mindcode.data.mindrecord_format import Column
from mindcode.data.mindrecord_writer import MindRecordWriter
from mindcode.utils.jsonl import read_jsonl

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"


class Job(NamedTuple):
    """A run: its name, its YAML file and flags, how many processes and steps, and the launcher's port."""

    name: str
    config: Path
    flags: str
    processes: int
    steps: int
    port: int


def write_rows(folder: Path, rows: int, length: int) -> None:
    """Write a MindRecord set of rows of `length` + 1 random ids below 4000."""
    folder.mkdir()
    ids = np.random.default_rng(0).integers(3, 4_000, (rows, length + 1), dtype=np.int32)
    columns = [Column(ids.reshape(-1), np.full(rows, length + 1), fill=0)] * 2
    with MindRecordWriter(folder, "rows.mindrecord", 1, ("input_ids", "labels"), length + 1, kind="qa") as writer:
        writer.add(columns)


def train(job: Job, folder: Path) -> list[dict[str, Any]]:
    """Train on the rows in folder/rows; return the rows of metrics.jsonl."""
    output = folder / job.name.replace(" ", "_").replace(",", "")
    program = (
        f"run_mindcode.py --config {job.config} --run_mode train --output_dir {output} --do_eval False "
        f"--train_dataset_dir {folder / 'rows'} --runner_config.epochs 1 --runner_config.max_steps {job.steps} "
        f"--use_parallel {job.processes > 1} {job.flags}"
    )
    command = [sys.executable, *program.split()]
    if job.processes > 1:
        launcher = ["bash", "scripts/msrun_launcher.sh", program]
        command = [*launcher, str(job.processes), str(job.port), str(folder / "log"), "True", "120"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{job.name}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return list(read_jsonl(output / "metrics.jsonl"))
