"""What comes out of verdicts: pass@k with its uncertainty, by problem and by group, and what the answers were like.

score = Score.of(task, stored, verdicts, ks=(1, 10))
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mindcode.evaluation.metrics import ProblemResult, pass_at_k, per_problem, standard_error
from mindcode.evaluation.runner.stored import Stored
from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Verdict

CUT_OFF = "length"
"""The finish reason of an answer that reached the longest allowed."""


@dataclass(frozen=True)
class Rate:
    """pass@k of some problems."""

    pass_at_k: Mapping[int, float]
    standard_error: Mapping[int, float]
    problems: int
    samples: int
    passed: int

    @classmethod
    def of(cls, results: Sequence[ProblemResult], ks: Sequence[int]) -> "Rate":
        """Reckon with the counts of each problem."""
        counts = [(result.samples, result.passed) for result in results]
        scores = pass_at_k(counts, ks)
        return cls(
            pass_at_k=scores,
            standard_error={k: standard_error(counts, k) for k in scores},
            problems=len(results),
            samples=sum(samples for samples, _ in counts),
            passed=sum(passed for _, passed in counts),
        )

    @property
    def line(self) -> str:
        """`pass@1: 0.1234 pass@10: 0.2000`, what the commands print last."""
        return " ".join(f"pass@{k}: {value:.4f}" for k, value in self.pass_at_k.items())

    def described(self) -> dict[str, Any]:
        """Return this as JSON data."""
        return {
            "pass_at_k": {f"pass@{k}": value for k, value in self.pass_at_k.items()},
            "standard_error": {f"pass@{k}": value for k, value in self.standard_error.items()},
            "problems": self.problems,
            "samples": self.samples,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Score:
    """A scored set of samples."""

    total: Rate
    groups: Mapping[str, Mapping[str, Rate]]
    """Label, as `language` or `bug_type` -> its value -> the rate of the problems with it."""
    problems: tuple[ProblemResult, ...]
    """In the task's order."""
    kinds: Mapping[str, int]
    """Samples by kind of verdict."""
    truncated: int
    empty: int

    @classmethod
    def of(cls, task: Task[Any], stored: Sequence[Stored], verdicts: Sequence[Verdict], ks: Sequence[int]) -> "Score":
        """Count; a k is left out where a problem has fewer samples."""
        place = {problem.task_id: index for index, problem in enumerate(task.problems)}
        problems = tuple(sorted(per_problem(verdicts), key=lambda result: place[result.task_id]))
        return cls(
            total=Rate.of(problems, ks),
            groups=_groups(task, problems, ks),
            problems=problems,
            kinds=dict(Counter(verdict.kind or verdict.result.partition(":")[0] for verdict in verdicts)),
            truncated=sum(item.row.get("finish_reason") == CUT_OFF for item in stored),
            empty=sum(is_empty(item) for item in stored),
        )

    def percents(self) -> dict[str, float] | None:
        """Return SkyThought's pass@k: in percent, k = n and the powers of two below it; None for one sample each."""
        counts = [(problem.samples, problem.passed) for problem in self.problems]
        most = min(samples for samples, _ in counts)
        if most == 1:
            return None
        ks = [most, *(2**power for power in range(most.bit_length() - 1, -1, -1) if 2**power < most)]
        return {f"k={k}": round(100 * value, 3) for k, value in pass_at_k(counts, ks).items()}

    def described(self) -> dict[str, Any]:
        """Return this as JSON data."""
        return {
            **self.total.described(),
            "kinds": dict(self.kinds),
            "truncated": self.truncated,
            "empty": self.empty,
            "groups": {
                label: {value: rate.described() for value, rate in rates.items()}
                for label, rates in self.groups.items()
            },
            "per_problem": [asdict(problem) for problem in self.problems],
        }


def is_empty(item: Stored) -> bool:
    """Whether a model said nothing."""
    words = next(
        (item.row[name] for name in ("answer", "completion", "solution") if item.row.get(name) is not None), ""
    )
    return not str(words).strip()


def _groups(task: Task[Any], results: Sequence[ProblemResult], ks: Sequence[int]) -> dict[str, dict[str, Rate]]:
    labels = {problem.task_id: task.labels(problem) for problem in task.problems}
    members: dict[str, dict[str, list[ProblemResult]]] = {}
    for result in results:
        for label, value in labels[result.task_id].items():
            members.setdefault(label, {}).setdefault(value, []).append(result)
    return {label: {value: Rate.of(group, ks) for value, group in values.items()} for label, values in members.items()}
