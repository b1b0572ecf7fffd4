"""JSON lines: read with the line number in every error, append so that a kill never leaves half a line behind."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError, not_utf8


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a .jsonl or .jsonl.gz file; blank lines are skipped.

    Raises UserError for a missing or damaged file and for a line that is not a JSON object.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield _parse(line, f"{path}:{number}")
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from error


def _parse(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({why_not_json(error)})") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a JSON object, found {type(row).__name__}")
    return row


def why_not_json(error: ValueError | RecursionError) -> str:
    """Say in a few words why a JSON decoder refused a line."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def encode_json(value: Any, indent: int | None = None) -> bytes:
    """Return UTF-8 JSON; half characters (lone surrogates), which UTF-8 cannot express, become JSON's escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent).encode(errors="backslashreplace")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write all rows at once, atomically."""
    with atomic_open(path, "wb") as stream:
        stream.writelines(encode_json(row) + b"\n" for row in rows)


class JsonlAppender:
    """Appends complete lines to a file; a line cut off by an earlier kill is removed when the file is opened."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _drop_partial_line(self.path)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, row: dict[str, Any]) -> None:
        """Write one row as one line, in a single system call."""
        os.write(self._descriptor, encode_json(row) + b"\n")

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def __enter__(self) -> "JsonlAppender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _drop_partial_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    keep = content.rfind(b"\n") + 1
    if keep != len(content):
        os.truncate(path, keep)
