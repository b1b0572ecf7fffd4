"""Two processes against one with two threads: tokens/s of training a network of 135M weights in fp32 on 2 cores.

python benchmarks/parallel.py                         data, tensor and pipeline parallel, 16 rows of 256 tokens a step
python benchmarks/parallel.py --rows 4                4 rows a step
python benchmarks/parallel.py --layers 6 --steps 4    a smaller network

Every side is a whole run of scripts/msrun_launcher.sh or run_mindcode.py on the same rows; the time of a step is the
median without the first two. The rows are random ids. The network is SmolLM2-135M with 8 query heads and 4 key heads,
which two processes can share, instead of 9 and 3.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from machine_common import machine
from training_common import CONFIGS, Job, train, write_rows

CONFIG = CONFIGS / "smollm2" / "finetune_smollm2_135m.yaml"
LENGTH = 256
"""Tokens of a row."""
HEADS = "--model.model_config.num_heads 8 --model.model_config.n_kv_heads 4"
ACCUMULATION, MICRO_BATCHES = "runner_config.gradient_accumulation_steps", "parallel_config.micro_batch_num"


class Side(NamedTuple):
    """A way to train, and the least speed as a part of the single process's."""

    split: str
    """Flags."""
    processes: int
    batch_size: int
    """Rows of a micro-batch in each replica."""
    replicas: int
    count: str
    """The key that says how many micro-batches a step has."""
    target: float


SIDES = {
    "1 process": Side("", 1, 4, 1, ACCUMULATION, 1.0),
    "data parallel 2": Side("--parallel_config.data_parallel 2", 2, 4, 2, ACCUMULATION, 0.85),
    "tensor parallel 2": Side("--parallel_config.model_parallel 2", 2, 4, 1, ACCUMULATION, 0.7),
    "pipeline 2": Side(
        "--parallel_config.pipeline_stage 2 --model.model_config.offset [1,-1]", 2, 2, 1, MICRO_BATCHES, 0.7
    ),
}


class Result(NamedTuple):
    """Tokens/s of all processes from the median time of a step, the last loss, GB of the process with most memory."""

    speed: float
    loss: float
    memory: float


def main() -> int:
    """Run all sides in turn; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=16, help="rows of a step, a multiple of 4 (default: 16)")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--port", type=int, default=8291, help="port of the launcher (default: 8291)")
    arguments = parser.parse_args()
    print(machine())
    print(f"{'':28s} {'tokens/s':>9s} {'ratio':>6s} {'target':>7s} {'loss':>9s} {'GB':>6s}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows", arguments.steps * arguments.rows, LENGTH)
        results, met = {}, True
        for side in SIDES:
            results[side] = measure(side, folder, arguments)
            ratio, target = results[side].speed / results["1 process"].speed, SIDES[side].target
            met = met and ratio >= target
            speed, loss, memory = results[side]
            print(f"{side:28s} {speed:9.1f} {ratio:6.2f} {target:7.2f} {loss:9.5f} {memory:6.2f}", flush=True)
    print(f"targets: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> Result:
    """Run one side and read its metrics."""
    side = SIDES[name]
    micro_batches = arguments.rows // (side.batch_size * side.replicas)
    flags = (
        f"{HEADS} --model.model_config.num_layers {arguments.layers} {side.split} "
        f"--runner_config.batch_size {side.batch_size} --{side.count} {micro_batches}"
    )
    rows = train(Job(name, CONFIG, flags, side.processes, arguments.steps, arguments.port), folder)
    seconds = statistics.median(row["step_seconds"] for row in rows[2:])
    return Result(arguments.rows * LENGTH / seconds, rows[-1]["loss"], rows[-1]["peak_memory_bytes"] / 1e9)


if __name__ == "__main__":
    sys.exit(main())
