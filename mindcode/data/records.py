"""Records of a JSON list or a JSONL file, one after the other in constant memory, each with the place it comes from."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mindcode.utils.errors import UserError, not_utf8
from mindcode.utils.jsonl import why_not_json

_BLOCK_CHARS = 1 << 20
_MAX_DEPTH = 100
"""Deeper values do not survive the way to another process; a conversation has five levels."""
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Record:
    """A value, where it stands ("file.json:12 (record 3)"), and the bytes of the file read so far.

    `error` is set, and `value` None, for a line that is not JSON, or nested too deeply.
    """

    where: str
    value: Any
    bytes_read: int
    error: str | None = None


def read_records(path: Path) -> Iterator[Record]:
    """Yield the elements of a JSON list, or the lines of a file that does not begin with `[`.

    A broken line of a JSONL file is yielded as a record with an `error`; a broken JSON list raises UserError with its
    line, because nothing after it can be found. Raises UserError too for a missing, empty or non-UTF-8 file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with open(path, encoding="utf-8-sig") as stream:
            start = _first_character(stream)
            if not start:
                raise UserError(f"{path}: empty; expected a JSON list or JSON lines")
            stream.seek(0)
            yield from _ListReader(path, stream).records() if start == "[" else _lines(path, stream)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


def _first_character(stream: TextIO) -> str:
    while block := stream.read(_BLOCK_CHARS):
        if stripped := block.lstrip():
            return stripped[0]
    return ""


def _lines(path: Path, stream: TextIO) -> Iterator[Record]:
    number = done = 0
    for line_number, line in enumerate(stream, start=1):
        done += len(line.encode())
        if not line.strip():
            continue
        number += 1
        where = f"{path}:{line_number} (record {number})"
        try:
            yield Record(where, _shallow(json.loads(line), line, 0, len(line)), done)
        except (ValueError, RecursionError) as error:
            yield Record(where, None, done, f"not JSON ({why_not_json(error)})")


def _shallow(value: Any, text: str, start: int, end: int) -> Any:
    """Return what `text[start:end]` decodes to; raise RecursionError where it is nested too deeply."""
    if text.count("[", start, end) + text.count("{", start, end) <= _MAX_DEPTH:
        return value
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for item in level if isinstance(item, (dict, list)) for inner in _inside(item)]
        if not level:
            return value
    raise RecursionError


def _inside(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item


def expect_text(value: Any, what: str) -> str:
    """Return `value` when it is text that has UTF-8 bytes; raise ValueError, with `what` in front, when it is not."""
    if not isinstance(value, str):
        raise ValueError(f"{what}: expected text, found {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what}: half a character ({value[error.start]!r})") from error
    return value


class _ListReader:
    """Walks through a JSON list with a window on the text that grows until it holds a whole element."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._text, self._position = "", 0
        self._line, self._counted = 1, 0
        self._bytes = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def records(self) -> Iterator[Record]:
        """Yield the elements."""
        self._expect("[")
        if self._peek() == "]":
            self._finish()
            return
        number = 0
        while True:
            self._peek()
            number += 1
            where = f"{self._path}:{self._current_line()} (record {number})"
            yield Record(where, self._element(number), self._bytes)
            if self._peek() == "]":
                self._finish()
                return
            self._expect(",")

    def _element(self, number: int) -> Any:
        """Decode one value. An error well before the end of the window is in the text, not in what is missing of it."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
                if end < len(self._text) or not self._extend():
                    value = _shallow(value, self._text, self._position, end)
                    self._position = end
                    return value
            except json.JSONDecodeError as error:
                inside = error.pos - self._position
                unfinished = error.pos > len(self._text) - 16 or error.msg.startswith("Unterminated")
                if not unfinished or not self._extend():
                    raise self._broken(f"record {number}: {error.msg}", self._position + inside) from error
            except (ValueError, RecursionError) as error:
                raise self._broken(f"record {number}: {why_not_json(error)}", self._position) from error

    def _peek(self) -> str:
        """Skip white space; the next character, or nothing at the end."""
        while True:
            while self._position < len(self._text):
                if self._text[self._position] not in _SPACE:
                    return self._text[self._position]
                self._position += 1
            if not self._extend():
                return ""

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise self._broken(f"expected {character!r}", self._position)
        self._position += 1

    def _finish(self) -> None:
        self._expect("]")
        if self._peek():
            raise self._broken("text after the end of the list", self._position)

    def _extend(self) -> bool:
        """Drop what is done and read on, twice as much when an element is longer than the window."""
        if self._ended:
            return False
        self._current_line()
        self._text = self._text[self._position :]
        self._position = self._counted = 0
        block = self._stream.read(max(_BLOCK_CHARS, len(self._text)))
        self._ended = not block
        self._bytes += len(block.encode())
        self._text += block
        return bool(block)

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def _broken(self, message: str, position: int) -> UserError:
        line = self._current_line() + self._text.count("\n", self._position, position)
        return UserError(f"{self._path}:{line}: not a JSON list ({message})")
