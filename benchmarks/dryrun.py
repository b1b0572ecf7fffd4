"""Dry runs of shipped YAML files: time, memory and checks of each stage, and how true the figure from two depths is.

python benchmarks/dryrun.py                                         the 34B plans for 16 and 32 NPUs
python benchmarks/dryrun.py pretrain_codellama_34b --full           and all layers: minutes a stage, 4 GB of memory

Needs gcc and g++; no NPU. Prints one row a stage; with --full a second one, and the error of the first.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine_common import machine
from training_common import CONFIGS

PLANS = ("pretrain_codellama_34b", "finetune_codellama_34b_32p")
MOST_ERROR = 0.03
"""What the extrapolated peak may differ from the compiled one."""


def main() -> int:
    """Measure; exit code 1 when a check does not hold or the extrapolation is wrong by too much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plans", nargs="*", default=PLANS, help="names of files in configs/codellama")
    parser.add_argument("--full", action="store_true", help="also compile all layers")
    arguments = parser.parse_args()
    print(machine())
    print(f"{'':44s} {'compile s':>12s} {'host GiB':>9s} {'peak MiB':>9s} {'messages GiB':>13s}  checks", flush=True)
    return 0 if all([measure(plan, arguments.full) for plan in arguments.plans]) else 1


def measure(plan: str, full: bool) -> bool:
    """Print the rows of a plan and return whether all is well."""
    started = time.monotonic()
    small = dryrun(plan)
    print(f"{plan}, all stages, wall time {time.monotonic() - started:.0f} s", flush=True)
    good = True
    for stage in small:
        good = show(f"  stage {stage['stage']}, from two depths", stage) and good
    for stage, whole in zip(small, dryrun(plan, "--layers", "full") if full else (), strict=False):
        good = show(f"  stage {stage['stage']}, all layers", whole) and good
        error = stage["memory"]["peak"] / whole["memory"]["peak"] - 1
        print(f"  stage {stage['stage']}, error of the peak {error:+.2%}", flush=True)
        good = good and abs(error) <= MOST_ERROR
    return good


def dryrun(plan: str, *flags: str) -> list[dict[str, Any]]:
    """Return what the verb writes as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        config = CONFIGS / "codellama" / f"{plan}.yaml"
        command = [sys.executable, "-m", "mindcode", "dryrun", "--config", str(config), "--json", str(found), *flags]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        stages: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))
        return stages


def show(name: str, stage: dict[str, Any]) -> bool:
    """Print a row and return whether every check holds."""
    seconds = " + ".join(f"{each['compile_seconds']:.0f}" for each in stage["compiled"])
    host = max(each["host_bytes"] for each in stage["compiled"]) / 2**30
    first = next(iter(stage["traffic"].values()))  # of training the step, of prediction the prefill
    peak, sent = stage["memory"]["peak"] / 2**20, sum(each["bytes"] for each in first) / 2**30
    wrong = [check["what"] for check in stage["checks"] if not check["ok"]]
    told = "; ".join(wrong) or f"{len(stage['checks'])} ok"
    print(f"{name:44s} {seconds:>12s} {host:9.2f} {peak:9.0f} {sent:13.1f}  {told}", flush=True)
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
