"""What a simulated rank is asked, and what it answers: two files of JSON between processes.

write_job(path, Job(...));  python -m mindcode.dryrun.rank path;  read_answer(job)
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mindcode.utils.atomic import atomic_open


@dataclass(frozen=True)
class Job:
    """One compilation."""

    config: str
    """Path of the YAML file."""
    overrides: tuple[tuple[str, str], ...]
    """Dotted keys and texts on top of it."""
    rank: int
    folder: str
    """Where graphs and answer go; the process runs there."""

    @property
    def answer(self) -> Path:
        """The file of the answer."""
        return Path(self.folder) / "answer.json"


@dataclass(frozen=True)
class Answer:
    """What one compilation took, and what MindSpore would take from the NPU."""

    compile_seconds: float = 0.0
    host_bytes: int = 0
    """Peak of the compiling process' own memory."""
    device_bytes: int = 0
    """Peak of the simulated device memory, by MindSpore's own count."""
    error: str = ""
    """One line; empty after a success."""
    trace: str = ""
    """The end of what MindSpore said, where it is more than a line."""


def write_job(path: Path, job: Job) -> None:
    """Write the question."""
    _write(path, asdict(job))


def read_job(path: Path) -> Job:
    """Read the question."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["overrides"] = tuple((key, text) for key, text in fields["overrides"])
    return Job(**fields)


def write_answer(job: Job, answer: Answer) -> None:
    """Write what was found."""
    _write(job.answer, asdict(answer))


def read_answer(job: Job) -> Answer | None:
    """Return what was found; None when the process ended without a word."""
    if not job.answer.exists():
        return None
    return Answer(**json.loads(job.answer.read_text(encoding="utf-8")))


def _write(path: Path, fields: dict[str, object]) -> None:
    with atomic_open(path) as stream:
        json.dump(fields, stream)
