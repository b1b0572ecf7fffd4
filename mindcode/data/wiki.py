"""WikiText-like files to paragraphs, with the cleaning that MindFormers (and Megatron before it) applies.

The cleaning is defined on a whole file: brackets and quotation marks are paired across lines and paragraphs. Here the
file is cut into chunks at plain paragraph borders, and every chunk knows which pairs are open where it begins and
whether they close after it ends, so that the chunks' paragraphs are exactly the whole file's.

Left out on purpose: the original also replaces the literal text `/' 5/` (a slip in a regular expression).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mindcode.utils.errors import UserError

CHUNK_CHARS = 1 << 18
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ('"', '"'), ("'", "'"))
_BEFORE_PAIRS = (
    ("s '", "s'"),
    (" @-@ ", "-"),
    (" @,@ ", ","),
    (" @.@ ", "."),
    *((f" {mark} ", f"{mark} ") for mark in ":;.!?,"),
)
_AFTER_PAIRS = (
    ("= = = =", "===="),
    ("= = =", "==="),
    ("= =", "=="),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)
# Two line ends with at most one space around each, between characters whose neighbouring spaces no rule touches.
# The cut is after the first line end: both sides then clean to exactly one line end each.
_CUT = re.compile(r"""(?<=[^\s(\[{"'])( ?\n)(?= ?\n ?[^\s)\]}"'])""")


@dataclass(frozen=True)
class Chunk:
    """A piece of a file; bit i of `opened` says that pair i is open at its beginning, of `closing` that it closes
    somewhere after its end."""

    text: str
    opened: int
    closing: int
    is_first: bool
    is_last: bool


def paragraphs(chunk: Chunk) -> list[str]:
    """The cleaned paragraphs of a chunk; headings (`= … =`) are left out."""
    text = chunk.text
    for old, new in _BEFORE_PAIRS:
        text = text.replace(old, new)
    for bit, (opener, closer) in enumerate(_PAIRS):
        opened, closing = bool(chunk.opened >> bit & 1), bool(chunk.closing >> bit & 1)
        text = _strip_inside(text, opener, closer, opened, closing)
    for old, new in _AFTER_PAIRS:
        text = text.replace(old, new)
    text = text[0 if chunk.is_first else 1 : None if chunk.is_last else -1]
    return [part for part in text.split("\n\n") if part and not part.strip().startswith("=")]


def _strip_inside(text: str, opener: str, closer: str, opened: bool, closing: bool) -> str:
    """Drop the white space after an opener and before the closer that follows; an opener without one stays as it is."""
    parts = text.split(closer)
    last = len(parts) - 1
    for index, part in enumerate(parts):
        start = 0
        if opener == closer:
            if index % 2 == int(opened):
                continue
        elif not (index == 0 and opened):
            start = part.find(opener) + 1
            if not start:
                continue
        from_opener = index > 0 if opener == closer else start > 0
        inside = part[start:]
        if from_opener and (index < last or closing):
            inside = inside.lstrip()
        if index < last:
            inside = inside.rstrip()
        parts[index] = part[:start] + inside
    return closer.join(parts)


def read_chunks(path: Path, size: int = CHUNK_CHARS) -> Iterator[Chunk]:
    """Yield the chunks of a UTF-8 file, each of about `size` characters (more where no border is plain).

    Raises UserError for a missing file or one that is not UTF-8.
    """
    remaining = _count_closers(path)
    opened, is_first, text = 0, True, ""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            while True:
                text, end = _fill(stream, text, size)
                piece = text if end is None else text[:end]
                after = _still_open(piece, opened)
                for bit, (_, closer) in enumerate(_PAIRS):
                    remaining[bit] -= piece.count(closer)
                closing = sum(1 << bit for bit, count in enumerate(remaining) if count > 0)
                yield Chunk(piece, opened, closing, is_first, end is None)
                if end is None:
                    return
                text, opened, is_first = text[end:], after, False
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}: byte {error.object[error.start]:#x})") from error


def _fill(stream: TextIO, text: str, size: int) -> tuple[str, int | None]:
    """Read until `text` has a plain border after `size` characters; return the text and the border, None at the end."""
    while True:
        start = max(len(text) - 4, size)
        block = stream.read(size)
        text += block
        found = _CUT.search(text, start)
        if found:
            return text, found.end()
        if not block:
            return text, None


def _count_closers(path: Path) -> list[int]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    counts = [0] * len(_PAIRS)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            for bit, (_, closer) in enumerate(_PAIRS):
                counts[bit] += block.count(closer.encode())
    return counts


def _still_open(text: str, opened: int) -> int:
    """Which pairs are open after `text`, given those open before it."""
    result = 0
    for bit, (opener, closer) in enumerate(_PAIRS):
        before = opened >> bit & 1
        if opener == closer:
            is_open = (text.count(closer) + before) % 2 == 1
        else:
            last = text.rfind(closer)
            is_open = text.find(opener, last + 1) >= 0 or bool(before and last < 0)
        result |= is_open << bit
    return result
