"""Peak resident memory of a process with the optimizer state sharded over two replicas, against without.

python benchmarks/zero_memory.py                 150 million weights in fp32, data parallel 2, 3 steps
python benchmarks/zero_memory.py --layers 2      half as many

Both sides are runs of scripts/msrun_launcher.sh on the same random rows; they differ in
parallel.enable_parallel_optimizer alone. The network has as many weights as SmolLM2-135M in few and wide layers, which
compile in seconds. The expected saving is counted in the plan: the moments that a replica does not hold, less the copy
of the weights of those rows that it updates.
"""

import argparse
import sys
import tempfile
from math import prod
from pathlib import Path
from typing import NamedTuple

from machine_common import machine
from training_common import CONFIGS, Job, train, write_rows

from mindcode.config.loader import load_config
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan

CONFIG = CONFIGS / "codellama" / "pretrain_codellama_tiny_cpu.yaml"
SIZES = {"hidden_size": 1536, "num_heads": 12, "n_kv_heads": 4, "intermediate_size": 6144, "vocab_size": 4096}
LENGTH, REPLICAS, FLOAT = 32, 2, 4
LEAST = 0.8


class Result(NamedTuple):
    """Peak memory in bytes of the process that used most, and the last loss."""

    peak: int
    loss: float


def main() -> int:
    """Run both sides; exit code 1 when less than 0.8 of the expected bytes are saved, or the losses differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--port", type=int, default=8292, help="port of the launcher (default: 8292)")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        write_rows(Path(name) / "rows", arguments.steps * REPLICAS, LENGTH)
        whole, sharded = (measure(switch, Path(name), arguments) for switch in ("False", "True"))
    saved, expected = whole.peak - sharded.peak, expected_saving(arguments.layers)
    print(f"state whole   {whole.peak / 1e6:8.0f} MB a process, loss {whole.loss:.6f}")
    print(f"state sharded {sharded.peak / 1e6:8.0f} MB a process, loss {sharded.loss:.6f}")
    print(f"ratio {sharded.peak / whole.peak:.2f}; saved {saved / 1e6:.0f} MB, by formula {expected / 1e6:.0f} MB")
    met = saved >= LEAST * expected and abs(whole.loss - sharded.loss) <= 1e-5 * whole.loss
    print(f"target: at least {LEAST} of the formula, equal losses: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def expected_saving(layers: int) -> int:
    """Count the bytes that one of the replicas does not hold."""
    config = load_config(CONFIG, sizes(layers))
    model, threshold = config.model.model_config, config.parallel.parallel_optimizer_config.parallel_optimizer_threshold
    plan, saving = Plan(model, ParallelDims(data_parallel=REPLICAS)), 0
    for name, shape in parameter_shapes(model).items():
        own, whole = prod(plan.state_placement(name, shape, 0, threshold * 1024).shape), prod(shape)
        saving += 2 * FLOAT * (whole - own) - (FLOAT * own if own < whole else 0)
    return saving


def sizes(layers: int) -> list[tuple[str, str]]:
    """Return the network's sizes, as overrides of the file."""
    values = {**SIZES, "num_layers": layers, "seq_length": LENGTH}
    return [(f"model.model_config.{key}", str(value)) for key, value in values.items()]


def measure(sharded: str, folder: Path, arguments: argparse.Namespace) -> Result:
    """Run one side and read its metrics."""
    network = " ".join(f"--{key} {value}" for key, value in sizes(arguments.layers))
    flags = (
        f"{network} --runner_config.batch_size 1 --parallel_config.data_parallel {REPLICAS} "
        f"--parallel.enable_parallel_optimizer {sharded}"
    )
    job = Job(f"sharded {sharded}", CONFIG, flags, REPLICAS, arguments.steps, arguments.port)
    last = train(job, folder)[-1]
    return Result(last["peak_memory_bytes"], last["loss"])


if __name__ == "__main__":
    sys.exit(main())
