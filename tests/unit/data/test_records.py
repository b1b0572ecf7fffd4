"""JSON lists and JSONL files, record by record."""

import json
from pathlib import Path

import pytest

import mindcode.data.records as records_module
from mindcode.data.records import read_records
from mindcode.utils.errors import UserError

VALUES = [{"a": "x" * 50, "b": [1, 2.5, None]}, {"text": 'quo"te \n [},] é'}, [], 12345, "s", {"long": "y" * 3000}]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_read_through_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, indent: int | None
) -> None:
    monkeypatch.setattr(records_module, "_BLOCK_CHARS", block)
    path = tmp_path / "a.json"
    path.write_text("\n " + json.dumps(VALUES, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    found = list(read_records(path))
    assert [record.value for record in found] == VALUES
    assert found[-1].bytes_read <= path.stat().st_size
    line = path.read_text(encoding="utf-8").split("12345")[0].count("\n") + 1
    assert found[3].where == f"{path}:{line} (record 4)"


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n{"a": 3}', encoding="utf-8")
    found = list(read_records(path))
    assert [record.value for record in found] == [{"a": 1}, None, {"a": 3}]
    assert found[1].where == f"{path}:3 (record 2)" and "not JSON" in (found[1].error or "")
    assert found[-1].bytes_read == path.stat().st_size


DEEP, VERY_DEEP = '{"a": [' * 100 + "1" + "]}" * 100, "[" * 2000 + "]" * 2000
LONG = '{"a": 1' + "0" * 5000 + "}"


def test_lines_that_python_cannot_hold_are_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(["{}", DEEP, VERY_DEEP, LONG, "{}"]), encoding="utf-8")
    found = list(read_records(path))
    assert [record.value for record in found] == [{}, None, None, None, {}]
    reasons = [record.error or "" for record in found]
    assert "nested too deeply" in reasons[1] and "nested too deeply" in reasons[2]
    assert "a number has too many digits" in reasons[3]


def test_an_empty_list_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[ \n ]\n")
    assert list(read_records(tmp_path / "a.json")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('[\n{"a": 1},\n{"a" 2}\n]', r":3: not a JSON list \(record 2: Expecting ':' delimiter\)"),
        ('[\n{"a": 1}\n{"a": 2}]', r":3: not a JSON list \(expected ','\)"),
        ('[{"a": 1}', r":1: not a JSON list \(expected ','\)"),
        ('[\n{"a": "x', r":2: not a JSON list \(record 1: Unterminated string"),
        ('[{"a": 1},]', r"record 2: Expecting value"),
        ("[1] 2", r"text after the end of the list"),
        (f"[1,\n{LONG}]", r":2: not a JSON list \(record 2: a number has too many digits"),
        (f"[1,\n{DEEP},\n2]", r":2: not a JSON list \(record 2: nested too deeply"),
        (f"[1,\n{VERY_DEEP}]", r":2: not a JSON list \(record 2: nested too deeply"),
    ],
)
def test_a_broken_list_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        list(read_records(path))


def test_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        list(read_records(tmp_path / "missing"))
    (tmp_path / "a").write_bytes(b'["\xff"]')
    with pytest.raises(UserError, match="not UTF-8"):
        list(read_records(tmp_path / "a"))
