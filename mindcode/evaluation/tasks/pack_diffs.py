"""Answers that are diffs: two formats of HumanEvalPack's fixing tasks, put into effect on the old code.

program = apply_characters(old_code, "@@ -8,9 +8,9 @@\n urn a \n--\n++\n  b%0A\n")
program = apply_lines(old_code, "@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n")

A hunk whose old text is not found changes nothing. When none is found, or the answer is no diff at all, the program is
empty, and fails.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_HEADER = re.compile(r"^[ \t]*@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@.*$\n?", re.MULTILINE)
_SIGNS = _CONTEXT, _OLD, _NEW = " ", "-", "+"


@dataclass(frozen=True)
class _Hunk:
    start: int
    """Where the new text begins when all hunks before this one are applied, counted from 0."""
    lines: tuple[str, ...]
    """Each with its sign."""

    def of(self, sign: str) -> list[str]:
        """Return what was there (`-`) or will be there (`+`), line by line."""
        return [line[1:] for line in self.lines if line.startswith((_CONTEXT, sign))]


def apply_characters(code: str, diff: str) -> str:
    """Apply a diff of characters, as diff-match-patch writes it: a line is a piece of text in percent encoding.

    Any other line makes it no diff.
    """
    hunks, drift, applied = list(_hunks(diff)), 0, False
    if not diff.lstrip().startswith("@@") or not all(line[0] in _SIGNS for hunk in hunks for line in hunk.lines):
        return ""
    for hunk in hunks:
        old, new = (unquote("".join(hunk.of(sign))) for sign in (_OLD, _NEW))
        start = _nearest(code, old, hunk.start + drift)
        if start is not None and old != new:
            code = code[:start] + new + code[start + len(old) :]
            drift, applied = start - hunk.start, True
    return code if applied else ""


def apply_lines(code: str, diff: str) -> str:
    """Apply a unified diff wherever its lines stand: its line numbers, and blank space at line ends, do not count."""
    lines, begin, applied = code.split("\n"), 0, False
    for hunk in _hunks(diff):
        old, new = hunk.of(_OLD), hunk.of(_NEW)
        start = _find_lines(lines, old, begin)
        if start is not None and old != new:
            lines[start : start + len(old)] = new
            begin, applied = start + len(new), True
    return "\n".join(lines) if applied else ""


def _hunks(diff: str) -> Iterator[_Hunk]:
    """Yield what follows each header. An empty line in a hunk is context that lost its sign."""
    headers = list(_HEADER.finditer(diff))
    ends = [match.start() for match in headers[1:]] + [len(diff)]
    for match, end in zip(headers, ends, strict=False):
        start = int(match.group(1)) - (match.group(2) != "0")
        lines = diff[match.end() : end].rstrip("\n").split("\n")
        yield _Hunk(start, tuple(line or _CONTEXT for line in lines))


def _nearest(code: str, old: str, expected: int) -> int | None:
    """Return where `old` begins, as near as possible to where it is expected."""
    places = [match.start() for match in re.finditer(f"(?={re.escape(old)})", code)]
    return min(places, key=lambda place: abs(place - expected), default=None)


def _find_lines(lines: list[str], old: list[str], begin: int) -> int | None:
    """Return where the lines `old` begin, from line `begin` on if possible; None when there are none to look for."""
    wanted, given = ([line.rstrip() for line in part] for part in (old, lines))
    places = [start for start in range(len(given)) if wanted and given[start : start + len(wanted)] == wanted]
    return next((start for start in places if start >= begin), next(iter(places), None))
