"""MindFormers' training graph beside mindcode's on the same plan: memory of each NPU, time to compile, communication.

python benchmarks/mindformers_graph.py                            three 34B plans, every stage, 2 layers a stage
python benchmarks/mindformers_graph.py --plan 16p --layers 4      one plan, 4 layers a stage
python benchmarks/mindformers_graph.py --set runner_wrapper.scale_sense=1.0       a key of the file differs, for both

Needs the mindformers extra and what `mindcode dryrun` needs; no NPU. Both sides get the same YAML file, compile one
step for the same rank of the same plan and run it in simulation, in processes of their own, one after the other. Device
memory is MindSpore's own count of the simulated peak; in it the optimizer has run. Memory that a kernel or HCCL takes
for itself is in neither figure.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from machine_common import machine
from training_common import CONFIGS

from mindcode.config.loader import load_config
from mindcode.config.sizes import processes_needed
from mindcode.dryrun.environment import dumped, simulated_rank
from mindcode.dryrun.ir import read_graph
from mindcode.dryrun.job import Job, write_job
from mindcode.dryrun.stub import ensure_stub
from mindcode.dryrun.wheel import mindspore_folder
from mindcode.parallel.dims import ParallelDims

PEER = Path(__file__).resolve().parent / "mindformers_graph_peer.py"
PLANS = {
    "pretrain": CONFIGS / "codellama" / "pretrain_codellama_34b.yaml",
    "16p": CONFIGS / "codellama" / "finetune_codellama_34b_16p.yaml",
    "32p": CONFIGS / "codellama" / "finetune_codellama_34b_32p.yaml",
}
ENGINES = ("mindformers", "mindcode")
PASS = "hwopt_d_after_stream_assign"
"""MindSpore's name of the pass after which a graph lists what is launched; shared code spelt out."""
MICRO_BATCHES = 4
"""The peak does not depend on their number once every stage has one to work on."""
MOST_MEMORY, MOST_SECONDS = 0.9, 1.0
"""What mindcode may take as a part of what MindFormers takes."""


class Side(NamedTuple):
    """What one engine's graph of one stage takes."""

    compile_seconds: float
    cpu_seconds: float
    """Of the same compilation."""
    host_bytes: int
    device_bytes: int
    messages: str
    """Kinds of communication, how often each is launched in a step, and GiB."""


def main() -> int:
    """Measure both engines on every stage; exit code 1 when mindcode takes more than its part of MindFormers'."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", choices=PLANS, help="one plan only")
    parser.add_argument("--stage", type=int, help="one pipeline stage only")
    parser.add_argument("--layers", type=int, default=2, help="layers of each stage (default: 2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key for both sides")
    arguments = parser.parse_args()
    print(machine())
    print(
        f"{'':34s} {'compile s':>10s} {'CPU s':>7s} {'host GiB':>9s} {'NPU MiB':>8s}  messages a step (GiB)", flush=True
    )
    met = True
    for plan in [arguments.plan] if arguments.plan else PLANS:
        stages = load_config(PLANS[plan]).parallel_config.pipeline_stage
        for stage in range(stages) if arguments.stage is None else [arguments.stage]:
            met = compare(plan, stage, arguments) and met
    return 0 if met else 1


def compare(plan: str, stage: int, arguments: argparse.Namespace) -> bool:
    """Print both sides and their ratio; return whether mindcode's part is small enough."""
    sides = {engine: measure(engine, plan, stage, arguments) for engine in ENGINES}
    for engine, side in sides.items():
        name = f"{plan}, stage {stage}, {engine}"
        print(
            f"{name:34s} {side.compile_seconds:10.1f} {side.cpu_seconds:7.1f} {side.host_bytes / 2**30:9.2f} "
            f"{side.device_bytes / 2**20:8.0f}  {side.messages}",
            flush=True,
        )
    theirs, ours = (sides[engine] for engine in ENGINES)
    memory, seconds = ours.device_bytes / theirs.device_bytes, ours.compile_seconds / theirs.compile_seconds
    print(f"{'':34s} {seconds:10.2f} {'':7s} {'':9s} {memory:8.2f}  of MindFormers'", flush=True)
    return memory <= MOST_MEMORY and seconds <= MOST_SECONDS


def measure(engine: str, plan: str, stage: int, arguments: argparse.Namespace) -> Side:
    """Compile one stage in a process of its own."""
    config = load_config(PLANS[plan])
    overrides = (
        ("engine", engine),
        ("model.model_config.num_layers", str(arguments.layers * config.parallel_config.pipeline_stage)),
        ("parallel_config.micro_batch_num", str(MICRO_BATCHES)),
        ("context.jit_config.jit_level", "O1"),
        *((key, value) for key, _, value in (text.partition("=") for text in arguments.set)),
    )
    rank = ParallelDims.of(config).pipeline_group(0)[stage]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = Job(str(PLANS[plan]), overrides, rank, name)
        write_job(folder / "job.json", job)
        environment = simulated_rank(ensure_stub(), mindspore_folder(), rank, processes_needed(config))
        environment |= dumped(PASS, folder)
        command = [sys.executable, str(PEER), str(folder / "job.json")]
        done = subprocess.run(
            command,
            cwd=name,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            raise SystemExit(f"{plan}, stage {stage}, {engine}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        traffic = messages_of(folder)
        measured = json.loads(job.answer.read_text(encoding="utf-8"))
    return Side(**measured, messages=traffic)


def messages_of(folder: Path) -> str:
    """Return kinds of communication, how often each is launched, and GiB: of what goes in or comes out, the larger."""
    launched = max(folder.rglob(f"{PASS}*.ir"), key=lambda path: path.stat().st_size)
    counts, sizes = Counter[str](), Counter[str]()
    for message, count in read_graph(launched).collectives.items():
        counts[message.kind] += count
        sizes[message.kind] += count * message.tensor.bytes
    return ", ".join(f"{kind} {counts[kind]} ({sizes[kind] / 2**30:.2f})" for kind in sorted(counts))


if __name__ == "__main__":
    sys.exit(main())
