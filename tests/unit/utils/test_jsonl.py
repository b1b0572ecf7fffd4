"""JSON lines: errors name the line, appended files never hold half a line."""

import gzip
import json
from pathlib import Path

import pytest

from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import JsonlAppender, read_jsonl, write_jsonl


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"text": "line\nbreak", "ü": None}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == rows


def test_half_characters_come_back(tmp_path: Path) -> None:
    """UTF-8 has no lone surrogates; JSON's escapes have."""
    rows = [{"text": "a\ud800 \udcffü"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    with JsonlAppender(tmp_path / "rows.jsonl") as appender:
        appender.append(rows[0])
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == rows * 2
    assert "ü" in (tmp_path / "rows.jsonl").read_text(encoding="utf-8")


def test_compressed_files_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    assert [row["a"] for row in read_jsonl(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}\n{oops}\n", r"rows\.jsonl:2: not JSON"),
        (b"{}\n[1]\n", r"rows\.jsonl:2: expected a JSON object, found list"),
        (b"{}\n" + b"[" * 200_000, r"rows\.jsonl:2: not JSON .nested too deeply"),
        (b'{"a": 1' + b"0" * 5000 + b"}\n", r"rows\.jsonl:1: not JSON .a number has too many digits"),
        (b'{"a": "\xe4"}\n', r"rows\.jsonl: not UTF-8 text .*0xe4"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_jsonl(path))


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b'{"a": 1}\n' * 99)[:-12]])
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"rows\.jsonl\.gz: not a whole gzip file"):
        list(read_jsonl(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl: no such file"):
        list(read_jsonl(tmp_path / "none.jsonl"))


@pytest.mark.parametrize("torn", ['{"a": 2', ""])
def test_appending_removes_a_line_that_a_kill_cut_off(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + torn)
    with JsonlAppender(path) as appender:
        appender.append({"a": 3})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"a": 3}]
