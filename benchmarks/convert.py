"""Conversion against copying: wall time of both on the same files in one run, and the peak resident memory.

python benchmarks/convert.py                          5 GB of bfloat16 in 1 GB shards, a tensor of 1 GB among them
python benchmarks/convert.py --gigabytes 1 --folder /scratch

Makes a Llama of random numbers in Hugging Face's format, then, in pairs, copies its files (cp, then fsync) and converts
them (mindcode convert, which flushes its output to the disk as well). Everything it made is removed at the end.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine_common import machine

from mindcode.checkpoint.dtypes import float32_to_bfloat16
from mindcode.checkpoint.names import translate
from mindcode.checkpoint.safetensors_file import TensorSpec
from mindcode.checkpoint.targets import open_shards
from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import parameter_shapes

WIDTH, VOCABULARY = 4096, 128 * 1024  # an embedding of 1.07 GB
LAYER_BYTES = 2 * WIDTH * (2 * WIDTH + 2 * WIDTH // 4 + 3 * 11008)
SHARD_BYTES = 1_200_000_000
TIME_LIMIT, MEMORY_LIMIT = 2.0, 600
CASES = {
    "-> .ckpt, same format": ("model.ckpt", ()),
    "-> .ckpt, fp16": ("model.ckpt", ("--dtype", "fp16")),
    "-> .ckpt, fp32": ("model.ckpt", ("--dtype", "fp32")),
    "-> .safetensors, same format": ("model.safetensors", ()),
}
# the process's own high-water mark: what wait4 reports counts the parent's memory before exec, too
MEASURED = """
import sys
from mindcode.cli.main import main
code = main(["convert", *sys.argv[1:]])
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
sys.exit(code)
"""


class Run(NamedTuple):
    """One conversion: wall time, peak resident memory, bytes written."""

    seconds: float
    mebibytes: float
    written: int


def main() -> int:
    """Make the model, run all cases, print the table; exit code 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=5.0, help="size of the model (default: 5)")
    parser.add_argument("--pairs", type=int, default=3, help="copies and conversions of each case (default: 3)")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        source = folder / "hf"
        size = make_model(source, arguments.gigabytes)
        print(f"model: {size / 1e9:.2f} GB bfloat16, {len(list(source.glob('*.safetensors')))} files\n")
        print(f"{'case':30s} {'cp + fsync':>12s} {'convert':>12s} {'ratio':>7s} {'GB/s':>6s} {'peak RSS':>10s}")
        met = [_case(name, source, folder, arguments.pairs) for name in CASES]
    print(f"\nlimits: ratio {TIME_LIMIT:g}, peak RSS {MEMORY_LIMIT} MiB: {'met' if all(met) else 'MISSED'}")
    return 0 if all(met) else 1


def make_model(folder: Path, gigabytes: float) -> int:
    """Write a Hugging Face folder of about that size; return the bytes of its tensors."""
    layers = max(1, round((gigabytes * 1e9 - 4 * WIDTH * VOCABULARY) / LAYER_BYTES))
    sizes = {"hidden_size": WIDTH, "vocab_size": VOCABULARY, "intermediate_size": 11008}
    config = ModelConfig(num_layers=layers, num_heads=32, n_kv_heads=8, **sizes)
    shapes = {translate(name, "ours", "hugging_face"): shape for name, shape in parameter_shapes(config).items()}
    specs = [TensorSpec(str(name), "BFloat16", shape) for name, shape in shapes.items()]
    folder.mkdir()
    random = np.random.default_rng(0)
    numbers = float32_to_bfloat16((random.standard_normal(16 << 20) * 0.02).astype(np.float32))
    with open_shards(folder, specs, {"format": "pt"}, SHARD_BYTES) as target:
        for spec in specs:
            target.begin(*spec)
            for block in _pieces(numbers, spec.nbytes // 2):
                target.write(block)
    heads = {"num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 8}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **sizes, **heads}))
    return sum(spec.nbytes for spec in specs)


def _pieces(numbers: np.ndarray, count: int) -> Iterator[np.ndarray]:
    while count > 0:
        yield numbers[:count]
        count -= len(numbers)


def _case(name: str, source: Path, folder: Path, pairs: int) -> bool:
    output, flags = CASES[name]
    copies, runs = [], []
    for _ in range(pairs):
        copies.append(_copy(source, folder / "copy"))
        runs.append(_convert(source, folder / "out", output, flags))
    ratio = statistics.median(run.seconds / copy for run, copy in zip(runs, copies, strict=True))
    # a wider format writes more bytes than the copy: compare the time for each byte written
    size = sum(file.stat().st_size for file in source.glob("*.safetensors"))
    ratio /= max(1.0, runs[0].written / size)
    seconds, peak = statistics.median(run.seconds for run in runs), max(run.mebibytes for run in runs)
    speed = runs[0].written / seconds / 1e9
    copy = statistics.median(copies)
    print(f"{name:30s} {copy:10.2f} s {seconds:10.2f} s {ratio:7.2f} {speed:6.2f} {peak:6.0f} MiB", flush=True)
    return ratio <= TIME_LIMIT and peak <= MEMORY_LIMIT


def _copy(source: Path, target: Path) -> float:
    """Seconds for copying all files and flushing them."""
    os.sync()
    begin = time.monotonic()
    subprocess.run(["cp", "-r", str(source), str(target)], check=True)
    for file in target.iterdir():
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())
    seconds = time.monotonic() - begin
    shutil.rmtree(target)
    return seconds


def _convert(source: Path, folder: Path, output: str, flags: tuple[str, ...]) -> Run:
    """One conversion in a process of its own, start of Python included."""
    os.sync()
    command = [sys.executable, "-c", MEASURED, "--input_path", str(source), "--output_path", str(folder / output)]
    begin = time.monotonic()
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    written = (folder / output).stat().st_size
    shutil.rmtree(folder)
    return Run(seconds, int(done.stdout.splitlines()[-1]) / 1024, written)


if __name__ == "__main__":
    sys.exit(main())
