"""Seconds of a stage, written down while it runs, so that a kill loses a few of them and not all.

with Stopwatch(Path("timings.jsonl"), "generate") as watch:
    watch.lap()
"""

import time
from pathlib import Path

from mindcode.utils.jsonl import JsonlAppender, read_jsonl

_LINE_SECONDS = 10.0


class Stopwatch:
    """Appends `{"stage": ..., "seconds": ...}` every few seconds and at the end; the stage took their sum."""

    def __init__(self, path: Path, stage: str) -> None:
        self._appender, self._stage = JsonlAppender(path), stage
        self._since = time.monotonic()

    def lap(self) -> None:
        """Say that the work goes on."""
        if time.monotonic() - self._since >= _LINE_SECONDS:
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        self._appender.append({"stage": self._stage, "seconds": round(now - self._since, 3)})
        self._since = now

    def __enter__(self) -> "Stopwatch":
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self._appender.close()


def stage_seconds(path: Path, stage: str) -> float:
    """Return how long a stage has taken, all calls together."""
    rows = read_jsonl(path) if path.is_file() else ()
    return round(sum(float(row["seconds"]) for row in rows if row.get("stage") == stage), 3)
