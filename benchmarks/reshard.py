"""Resharding and merging against copying: wall time on the same files in one run, and peak memory.

python benchmarks/reshard.py                          4 GB: weights and both moments, two parts of every tensor
python benchmarks/reshard.py --gigabytes 1 --folder /scratch --pairs 1

Makes a checkpoint of random numbers as a run on two ranks leaves it, then, in pairs, copies its files (cp, then fsync)
and reshards or merges them (mindcode ckpt, which flushes what it writes as well). The seconds of processor time of both
stand behind the wall time: with other work on the machine they say more. All that was made is removed at the end.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine_common import machine

from mindcode.checkpoint.ckpt_file import TensorRecord
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import num_parameters, parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape

SIZES = {"hidden_size": 2048, "num_heads": 16, "n_kv_heads": 16, "vocab_size": 32000, "intermediate_size": 5504}
BYTES_PER_PARAMETER = 12
TIME_LIMIT, MEMORY_LIMIT = 2.5, 600
WIDE = ParallelDims(1, 2, 1)
CASES = {
    "tp2 -> one file": ("merge", "run", "whole.ckpt"),
    "tp2 -> pp2": ("transform", "run", "out", "--pipeline_stage", "2"),
    "tp2 -> dp2, state cut": ("transform", "run", "out", "--data_parallel", "2", "--enable_parallel_optimizer"),
    "one file -> tp2": ("transform", "complete.ckpt", "out", "--model_parallel", "2"),
}


class Clock:
    """Wall time and processor time of child processes since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), _children_cpu()

    def read(self) -> "Times":
        """Return the seconds of both."""
        return Times(time.monotonic() - self._wall, _children_cpu() - self._cpu)


class Times(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


class Run(NamedTuple):
    """One conversion: its times, its peak resident memory, bytes written."""

    times: Times
    mebibytes: float
    written: int


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Make the checkpoint, run all cases, print the table; exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of the checkpoint (default: 4)")
    parser.add_argument("--pairs", type=int, default=3, help="copies and conversions of each case (default: 3)")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        make_run(folder / "run", arguments.gigabytes)
        _convert(folder, ("merge", "run", "complete.ckpt"))
        files = [*(folder / "run").rglob("*.ckpt")]
        print(f"checkpoint: {sum(file.stat().st_size for file in files) / 1e9:.2f} GB, {len(files)} files\n")
        print(f"{'case':22s} {'cp + fsync':>18s} {'mindcode':>18s} {'ratio':>6s} {'GB/s':>6s} {'peak RSS':>9s}")
        met = [_case(name, folder, arguments.pairs) for name in CASES]
    print(f"\nlimits: ratio {TIME_LIMIT:g}, peak RSS {MEMORY_LIMIT} MiB: {'met' if all(met) else 'MISSED'}")
    return 0 if all(met) else 1


def make_run(folder: Path, gigabytes: float) -> None:
    """Write a checkpoint of about that size as two ranks do."""
    one, two = (num_parameters(ModelConfig(num_layers=layers, **SIZES)) for layers in (1, 2))
    layers = max(2, round((gigabytes * 1e9 / BYTES_PER_PARAMETER - one) / (two - one)) + 1)
    shapes = parameter_shapes(ModelConfig(num_layers=layers, **SIZES))
    shapes = {f"{prefix}{name}": shape for prefix in ("", *STATE_PREFIXES[:2]) for name, shape in shapes.items()}
    numbers = np.random.default_rng(0).standard_normal(80 << 20, np.float32)
    split, state = Split.of_tensors(shapes, WIDE), [TensorRecord("global_step", "Int32", np.array(7, np.int32))]
    for rank in reversed(range(WIDE.world_size)):
        records = [_record(name, block, numbers) for name, block in split.placements(shapes, rank).items()]
        ShardedStore(folder, "codellama", 1, rank, WIDE).save(records, state, Position(1, 7), lambda: None)


def _record(name: str, block: Placement, numbers: np.ndarray) -> ShardRecord:
    return ShardRecord(name, "Float32", block, lambda: numbers[: _count(block.shape)].reshape(block.shape))


def _count(shape: Shape) -> int:
    return int(np.prod(shape))


def _case(name: str, folder: Path, pairs: int) -> bool:
    command = CASES[name]
    source, copies, runs = folder / command[1], [], []
    for _ in range(pairs):
        copies.append(_copy(source, folder / "copy"))
        runs.append(_convert(folder, command))
        _remove(folder / command[2])
    ratio = statistics.median(run.times.wall / copy.wall for run, copy in zip(runs, copies, strict=True))
    # replicas hold copies: compare the time for each byte written
    ratio /= max(1.0, runs[0].written / _bytes(source))
    peak, speed = max(run.mebibytes for run in runs), runs[0].written / _median([run.times for run in runs]).wall / 1e9
    shown = [f"{t.wall:6.2f} s ({t.cpu:4.1f} cpu)" for t in (_median(copies), _median([run.times for run in runs]))]
    print(f"{name:22s} {shown[0]:>18s} {shown[1]:>18s} {ratio:6.2f} {speed:6.2f} {peak:5.0f} MiB", flush=True)
    return ratio <= TIME_LIMIT and peak <= MEMORY_LIMIT


def _median(times: list[Times]) -> Times:
    return Times(*(statistics.median(values) for values in zip(*times, strict=True)))


def _copy(source: Path, target: Path) -> Times:
    """Seconds for copying all files and flushing them."""
    os.sync()
    clock = Clock()
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    for file in _files(target):
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
    times = clock.read()
    _remove(target)
    return times


def _convert(folder: Path, command: tuple[str, ...]) -> Run:
    """One conversion in a process of its own, start of Python included."""
    os.sync()
    clock, peak = Clock(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "mindcode", "ckpt", *command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while process.poll() is None:
        peak = max(peak, _peak(process.pid))
        time.sleep(0.02)
    times = clock.read()
    if process.returncode:
        raise SystemExit((process.stderr.read() if process.stderr else b"").decode())
    return Run(times, peak / 1024, _bytes(folder / command[2]))


def _peak(pid: int) -> int:
    """The high-water mark of a process in KiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    sys.exit(main())
