"""pass@k, its uncertainty, and the table behind it.

scores = pass_at_k([(10, 3), (10, 0)], ks=(1, 10))     # {1: 0.15, 10: 0.5}
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mindcode.evaluation.types import Verdict


@dataclass(frozen=True)
class ProblemResult:
    """How often one problem was solved."""

    task_id: str
    samples: int
    passed: int
    results: tuple[str, ...]
    """The distinct verdicts, the most frequent first."""


def estimate_pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the unbiased estimate 1 - C(n-c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374), n >= k."""
    if samples < k:
        raise ValueError(f"pass@{k} needs {k} samples, there are {samples}")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def pass_at_k(counts: Sequence[tuple[int, int]], ks: Iterable[int]) -> dict[int, float]:
    """Return the mean over problems, given as (samples, passed), for each k that no problem has too few samples for."""
    return {
        k: sum(estimate_pass_at_k(samples, passed, k) for samples, passed in counts) / len(counts)
        for k in ks
        if counts and all(samples >= k for samples, _ in counts)
    }


def standard_error(counts: Sequence[tuple[int, int]], k: int) -> float:
    """Return the standard error of pass@k over problems."""
    values = [estimate_pass_at_k(samples, passed, k) for samples, passed in counts]
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def per_problem(verdicts: Iterable[Verdict]) -> tuple[ProblemResult, ...]:
    """Group verdicts by problem, in order of first appearance."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.task_id, []).append(verdict)
    return tuple(_summary(task_id, group) for task_id, group in groups.items())


def _summary(task_id: str, group: list[Verdict]) -> ProblemResult:
    words = [verdict.result for verdict in group]
    distinct = sorted(set(words), key=lambda word: (-words.count(word), word))
    return ProblemResult(task_id, len(group), sum(verdict.passed for verdict in group), tuple(distinct))
