"""Verdicts on stored samples, kept one by one: after a kill, what was judged is not judged again.

verdicts = judge_stored(problems, samples, judging, journal=Path("samples.jsonl_verdicts.jsonl"))
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import JsonlAppender, encode_json, read_jsonl
from mindcode.utils.progress import Progress


@dataclass(frozen=True)
class Judging:
    """How samples are executed."""

    limits: Limits
    workers: int | None = None
    """None: one for each core."""


def judge_stored(
    problems: Mapping[str, Problem], samples: Sequence[Sample], judging: Judging, journal: Path
) -> list[Verdict]:
    """Return a verdict for each sample, in order; those that `journal` has are taken from there.

    A verdict is kept under a digest of all that decides it: program, tests, limits and this package's version.
    """
    keys = [_key(problems[sample.task_id], sample, judging.limits) for sample in samples]
    known = _known(journal)
    left = [index for index, key in enumerate(keys) if key not in known]
    with JsonlAppender(journal) as appender, Progress("score", total=len(left), unit="sample") as progress:
        wanted = [samples[index] for index in left]
        for number, verdict in judge_samples(problems, wanted, judging.limits, judging.workers) if wanted else ():
            key = keys[left[number]]
            if key not in known:
                known[key] = verdict
                appender.append({"key": key, **asdict(verdict)})
            progress.advance(1)
    return [known[key] for key in keys]


def _key(problem: Problem, sample: Sample, limits: Limits) -> str:
    decisive = [asdict(problem), sample.source, asdict(limits), version("mindcode")]
    return hashlib.sha256(encode_json(decisive)).hexdigest()


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
