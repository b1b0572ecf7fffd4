"""WikiText-like files to paragraphs, with the cleaning that MindFormers (and Megatron before it) applies.

The cleaning is defined on a whole file: brackets and quotation marks are paired across lines and paragraphs. Here the
file is cut into chunks at plain paragraph borders, or between two words where there is none for long, and every chunk
knows which pairs are open where it begins and whether they close after it ends, so that the chunks' paragraphs are
exactly the whole file's.

Left out on purpose: the original also replaces the literal text `/' 5/` (a slip in a regular expression).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TextIO

from mindcode.utils.errors import UserError, not_utf8

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


class Edge(Enum):
    """Where a chunk begins or ends."""

    FILE = "the beginning or end of the file"
    PARAGRAPH = "between two paragraphs"
    WORD = "inside a paragraph, at a space between two words"


_CUTS = {
    # Two line ends with at most one space around each, between characters whose neighbouring spaces no rule touches.
    # The cut is after the first line end: both sides then clean to exactly one line end each.
    Edge.PARAGRAPH: re.compile(r"""(?<=[^\s(\[{"'])( ?\n)(?= ?\n ?[^\s)\]}"'])"""),
    # One space between two letters, which no rule touches unless one of them is an N. It begins the later side.
    Edge.WORD: re.compile(r"(?<=[^\W\d_N])(?= [^\W\d_N])"),
}
_EMPTY_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Chunk:
    """A piece of a file; bit i of `opened` says that pair i is open at its beginning, of `closing` that it closes
    somewhere after its end. `in_heading`: the paragraph that it begins in is a heading."""

    text: str
    opened: int
    closing: int
    begin: Edge
    end: Edge
    in_heading: bool


class Paragraph(NamedTuple):
    """A cleaned paragraph, or what a chunk has of one; the space between two parts belongs to neither."""

    text: str
    begins: bool
    ends: bool
    is_heading: bool


def paragraphs(chunk: Chunk) -> list[Paragraph]:
    """The cleaned paragraphs of a chunk; headings (`= … =`) are left out."""
    return [paragraph for paragraph in _all_paragraphs(chunk) if paragraph.text and not paragraph.is_heading]


def _all_paragraphs(chunk: Chunk) -> list[Paragraph]:
    text = chunk.text
    for old, new in _BEFORE_PAIRS:
        text = text.replace(old, new)
    for bit, (opener, closer) in enumerate(_PAIRS):
        opened, closing = bool(chunk.opened >> bit & 1), bool(chunk.closing >> bit & 1)
        text = _strip_inside(text, opener, closer, opened, closing)
    for old, new in _AFTER_PAIRS:
        text = text.replace(old, new)
    text = text[0 if chunk.begin is Edge.FILE else 1 : -1 if chunk.end is Edge.PARAGRAPH else None]
    found = [Paragraph(part, True, True, part.strip().startswith("=")) for part in text.split("\n\n")]
    if chunk.begin is Edge.WORD:
        found[0] = found[0]._replace(begins=False, is_heading=chunk.in_heading)
    if chunk.end is Edge.WORD:
        found[-1] = found[-1]._replace(ends=False)
    return found


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


def read_chunks(path: Path, edges: tuple[Edge, ...] = (Edge.PARAGRAPH,), size: int = CHUNK_CHARS) -> Iterator[Chunk]:
    """Yield the chunks of a UTF-8 file, each of `size` characters or more, cut at `edges`, the preferred kind first.

    Raises UserError for a missing file or one that is not UTF-8.
    """
    remaining = _count_closers(path)
    text, opened, begin, in_heading = "", 0, Edge.FILE, False
    try:
        with open(path, encoding="utf-8-sig") as stream:
            end = Edge.PARAGRAPH
            while end is not Edge.FILE:
                text, place, end = _fill(stream, text, edges, size)
                piece, text = text[:place], text[place:]
                for bit, (_, closer) in enumerate(_PAIRS):
                    remaining[bit] -= piece.count(closer)
                closing = sum(1 << bit for bit, count in enumerate(remaining) if count > 0)
                chunk = Chunk(piece, opened, closing, begin, end, in_heading)
                yield chunk
                opened, begin = _still_open(piece, opened), end
                in_heading = end is Edge.WORD and _ends_in_heading(chunk)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


def _ends_in_heading(chunk: Chunk) -> bool:
    """Whether the paragraph that goes on after the chunk is a heading."""
    if chunk.begin is Edge.WORD and not _EMPTY_LINE.search(chunk.text):
        return chunk.in_heading
    return _all_paragraphs(chunk)[-1].is_heading


def _fill(stream: TextIO, text: str, edges: tuple[Edge, ...], size: int) -> tuple[str, int, Edge]:
    """Read until `text` can be cut after `size` characters, for the second kind of edge after twice as many.

    Returns the text, the place and its kind; the end when there is no such place.
    """
    starts = dict.fromkeys(edges, size)
    while True:
        for number, edge in enumerate(edges, start=1):
            if len(text) < number * size:
                continue
            found = _CUTS[edge].search(text, starts[edge])
            if found:
                return text, found.end(), edge
            starts[edge] = max(len(text) - 4, size)
        block = stream.read(size)
        if not block:
            return text, len(text), Edge.FILE
        text += block


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
