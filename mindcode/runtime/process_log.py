"""What the log file of a process says: the lines that arrive, and the ones that explain its end."""

import re
from itertools import takewhile
from pathlib import Path

_END_BYTES, _MAX_LINES = 64 * 1024, 15
_CHATTER = re.compile(r"\[(INFO|WARNING)\] [A-Z_]+\(")
"""MindSpore's runtime about itself."""
_TRACE = "Traceback (most recent call last):"
_RULE = re.compile("-{20,}")
"""Opens MindSpore's list of places in its own source, below what it says."""
_FAULT = re.compile(r"error|exception|critical|fault|killed|denied", re.IGNORECASE)


class LogFollower:
    """The lines of a growing file, without MindSpore's chatter about itself; the file may be removed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._stream, self._rest = open(path, "rb"), b""  # noqa: SIM115 (read from during the whole job)

    def lines(self) -> list[str]:
        """Return the complete lines that arrived since the last call."""
        whole, newline, self._rest = (self._rest + self._stream.read()).rpartition(b"\n")
        return [line for line in _decoded(whole + newline) if not _CHATTER.match(line)]


def last_words(path: Path) -> list[str]:
    """Return the lines that say best why a process ended: the last trace, or lines about errors, or the last ones."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, path.stat().st_size - _END_BYTES))
            text = stream.read()
    except FileNotFoundError:
        return ["(somebody has removed it)"]
    lines = [line.rstrip() for line in _decoded(text) if line.strip() and not _CHATTER.match(line)]
    traces = [number for number, line in enumerate(lines) if line.startswith(_TRACE)]
    if traces:
        trace = list(takewhile(lambda line: not _RULE.match(line), lines[traces[-1] :]))
        return trace if len(trace) <= _MAX_LINES else [trace[0], "  ...", *trace[2 - _MAX_LINES :]]
    return [line for line in lines if _FAULT.search(line)][-_MAX_LINES:] or lines[-_MAX_LINES:]


def _decoded(text: bytes) -> list[str]:
    return text.decode("utf-8", errors="replace").splitlines()
