"""All 984 canonical programs of HumanEvalPack, six languages, judged with warm caches: the wall time of one pass.

python benchmarks/languages.py [--workers 2] [--languages python js java go cpp rust]
"""

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass

from machine_common import machine

from mindcode.evaluation.execution.languages import usual_seconds
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.protections import protections
from mindcode.evaluation.execution.toolchains import missing
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.types import Sample

TARGET = 150.0
LANGUAGES = ("python", "js", "java", "go", "cpp", "rust")


@dataclass(frozen=True)
class _Pass:
    """One language, all problems."""

    kinds: Counter[str]
    failed: list[str]
    wall: float
    processor: float


def main() -> int:
    """Judge language by language; exit code 1 when the target is missed or a tool chain is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    arguments = parser.parse_args()
    absent = [reason for reason in map(missing, arguments.languages) if reason]
    print(f"{machine()}; {arguments.workers} workers\n{protections().line}", *absent, sep="\n", flush=True)
    walls = []
    for language in arguments.languages:
        if missing(language) is None:
            one = _judge(language, arguments.workers)
            walls.append(one.wall)
            print(
                f"{language:7} {one.kinds['passed']:4} of {one.kinds.total()} passed   {one.wall:6.1f} s wall   "
                f"{one.processor:6.1f} s processor   {' '.join(one.failed)}",
                flush=True,
            )
    print(f"together {sum(walls):.1f} s wall (target {TARGET:.0f} s for six languages)")
    return 1 if absent or sum(walls) > TARGET else 0


def _judge(language: str, workers: int) -> _Pass:
    whole = task(f"humanevalsynthesize-{language}")
    problems = {problem.task_id: problem for problem in whole.problems}
    samples = [Sample(name, whole.canonical(problem)) for name, problem in problems.items()]
    start, before = time.monotonic(), os.times()
    limits = Limits(cpu_seconds=usual_seconds(language))
    verdicts = [verdict for _, verdict in judge_samples(problems, samples, limits, workers)]
    after = os.times()
    return _Pass(
        Counter(verdict.kind for verdict in verdicts),
        sorted(verdict.task_id for verdict in verdicts if not verdict.passed),
        time.monotonic() - start,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


if __name__ == "__main__":
    sys.exit(main())
