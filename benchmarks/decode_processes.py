"""Decoding with two processes against one with two threads: a network of 135M random weights in fp32, on 2 cores.

python benchmarks/decode_processes.py
python benchmarks/decode_processes.py --batch_sizes 1 --new_tokens 32 --layers 6

The network is SmolLM2-135M with 8 query heads and 4 key heads, which two processes can share, instead of 9 and 3.
Sides alternate; `decode` leaves out the time of the same call for one token, and is the median of all calls.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from machine_common import machine

from mindcode.config.loader import load_config
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ContextConfig
from mindcode.generation.batch import Steps
from mindcode.generation.crew import Crew
from mindcode.generation.devices import steps_on
from mindcode.generation.engine import Engine
from mindcode.generation.types import Request, SamplingParams
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan
from mindcode.runtime.context import set_context
from mindcode.runtime.distributed import Group, GroupSum, join_group, start_processes

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "smollm2" / "predict_smollm2_135m.yaml"
PROMPT_TOKENS, LONGEST = 100, 512


class NoText:
    """Nobody reads what random weights say."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return nothing."""
        return ""


def main() -> int:
    """Run the sides in turn, or be one process of a side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--new_tokens", type=int, default=64)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--port", type=int, default=8293, help="port of the launcher (default: 8293)")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.result:
        work(arguments)
        return 0
    print(machine())
    print(f"{'batch':>5s} {'1 process':>14s} {'2 processes':>14s} {'ratio':>6s}", flush=True)
    sides = [[launch(processes, arguments) for processes in (1, 2)] for _ in range(arguments.pairs)]
    for size in map(str, arguments.batch_sizes):
        speeds = [statistics.median(pair[side][size] for pair in sides) for side in (0, 1)]
        ratio = statistics.median(pair[1][size] / pair[0][size] for pair in sides)
        print(f"{size:>5s} {speeds[0]:10.1f} t/s {speeds[1]:10.1f} t/s {ratio:6.2f}", flush=True)
    return 0


def launch(processes: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Run one side; return tokens/s of decoding by batch size."""
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "result.json"
        words = ["--batch_sizes", *arguments.batch_sizes, "--new_tokens", arguments.new_tokens]
        words += ["--layers", arguments.layers, "--result", result]
        launcher = [sys.executable, "-m", "mindcode", "launch", "--worker_num", processes]
        launcher += ["--master_port", arguments.port, "--log_dir", Path(name) / "log"]
        command = list(map(str, [*launcher, Path(__file__).resolve(), *words]))
        subprocess.run(command, cwd=name, check=True, stdout=subprocess.DEVNULL)
        return {size: float(speed) for size, speed in json.loads(result.read_text(encoding="utf-8")).items()}


def work(arguments: argparse.Namespace) -> None:
    """Decode with this process' part; the first one writes the speeds."""
    set_context(ContextConfig(device_target="CPU"))
    world = start_processes()
    group = join_group(range(world.size), world.rank)
    heads = [("num_heads", "8"), ("n_kv_heads", "4"), ("num_layers", str(arguments.layers))]
    overrides = [("load_checkpoint", "none"), *((f"model.model_config.{name}", text) for name, text in heads)]
    config = dataclasses.replace(
        load_config(CONFIG, overrides).model.model_config, eos_token_id=(), max_decode_length=LONGEST
    )

    def build(batch_size: int) -> Steps:
        return steps_on("CPU")(config, random_blocks(config, group), batch_size, group)

    crew = Crew(group.index, GroupSum(group))
    if not crew.leads:
        crew.follow(build)
        return
    speeds = {size: decode_speed(crew.steps(size, build), config, arguments) for size in arguments.batch_sizes}
    crew.dismiss()
    arguments.result.write_text(json.dumps(speeds), encoding="utf-8")


def random_blocks(config: ModelConfig, group: Group) -> Iterator[tuple[str, np.ndarray]]:
    """Make this process' blocks."""
    generator = np.random.default_rng(group.index)
    placements = Plan(config, ParallelDims(model_parallel=group.size)).local_parameters(group.index)
    for name, placement in placements.items():
        yield name, generator.standard_normal(placement.shape, np.float32) * np.float32(0.02)


def decode_speed(steps: Steps, config: ModelConfig, arguments: argparse.Namespace) -> float:
    """Return tokens/s after the first token of every row; a first call compiles."""
    engine, generator = Engine(steps, config, NoText(), LONGEST), np.random.default_rng(1)
    prompts = [tuple(generator.integers(1, config.vocab_size, PROMPT_TOKENS).tolist()) for _ in range(steps.batch_size)]
    seconds = []
    for count in (2, 1, arguments.new_tokens):
        params = SamplingParams(max_new_tokens=count)
        start = time.monotonic()
        list(engine.generate([Request(str(number), ids, params) for number, ids in enumerate(prompts)]))
        seconds.append(time.monotonic() - start)
    return steps.batch_size * (arguments.new_tokens - 1) / (seconds[2] - seconds[1])


if __name__ == "__main__":
    sys.exit(main())
