"""Verdicts on stored samples, kept one by one: after a kill, what was judged is not judged again.

verdicts = judge_stored(problems, samples, judging, journal=Path("samples.jsonl_verdicts.jsonl"))
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode import __version__
from mindcode.evaluation.execution.languages import usual_seconds
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.errors import UserError
from mindcode.utils.fingerprint import digest
from mindcode.utils.jsonl import JsonlAppender, read_jsonl
from mindcode.utils.progress import Progress


@dataclass(frozen=True)
class Judging:
    """How samples are executed."""

    cpu_seconds: float | None = None
    """Processor time for one sample; None: what is usual for its language."""
    workers: int | None = None
    """None: one for each core."""

    def limits(self, language: str) -> Limits:
        """Return the bounds for samples of a language."""
        return Limits(cpu_seconds=self.cpu_seconds or usual_seconds(language))


def judge_stored(
    problems: Mapping[str, Problem], samples: Sequence[Sample], judging: Judging, journal: Path
) -> list[Verdict]:
    """Return a verdict for each sample, in order; those that `journal` has are taken from there.

    A verdict is kept under a digest of all that decides it: program, tests, limits and this package's version.
    """
    tests = {task_id: digest([asdict(problem), _bounds(problem, judging)]) for task_id, problem in problems.items()}
    keys = [digest([tests[sample.task_id], sample.source]) for sample in samples]
    known = _known(journal)
    left = [index for index, key in enumerate(keys) if key not in known]
    with JsonlAppender(journal) as appender, Progress("score", total=len(left), unit="sample") as progress:
        for index, verdict in _verdicts(problems, samples, left, judging):
            if keys[index] not in known:
                known[keys[index]] = verdict
                appender.append({"key": keys[index], **asdict(verdict)})
            progress.advance(1)
    return [known[key] for key in keys]


def _verdicts(
    problems: Mapping[str, Problem], samples: Sequence[Sample], left: Sequence[int], judging: Judging
) -> Iterator[tuple[int, Verdict]]:
    """Judge the samples at some indexes, one language after the other, as their limits differ."""
    by_language: dict[str, list[int]] = {}
    for index in left:
        by_language.setdefault(problems[samples[index].task_id].language, []).append(index)
    for language, indexes in by_language.items():
        wanted = [samples[index] for index in indexes]
        for number, verdict in judge_samples(problems, wanted, judging.limits(language), judging.workers):
            yield indexes[number], verdict


def _bounds(problem: Problem, judging: Judging) -> dict[str, Any]:
    return {**asdict(judging.limits(problem.language)), "mindcode": __version__}


def _known(journal: Path) -> dict[str, Verdict]:
    """Read the verdicts of an earlier call, after removing a line that a kill cut off."""
    if not journal.exists():
        return {}
    JsonlAppender(journal).close()
    try:
        rows = [dict(row) for row in read_jsonl(journal)]
        return {str(row.pop("key")): Verdict(**row) for row in rows}
    except (KeyError, TypeError) as error:
        raise UserError(f"{journal}: not a file of verdicts; delete it to begin anew") from error
