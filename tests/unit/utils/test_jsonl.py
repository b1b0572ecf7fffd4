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


def test_compressed_files_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    assert [row["a"] for row in read_jsonl(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}\n{oops}\n", r"rows\.jsonl:2: not JSON"), ("{}\n[1]\n", r"rows\.jsonl:2: expected a JSON object, found list")],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
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
