"""Alpaca rows to conversations."""

import json
from pathlib import Path

import pytest

from mindcode.data.alpaca import convert_alpaca
from mindcode.utils.errors import UserError

ROWS = [
    {"instruction": "Add.", "input": "1 2", "output": "3"},
    {"instruction": "Sag hallö.", "input": "", "output": "hallö"},
    {"instruction": "No input.", "output": "x\u2028\u2029\x85\x1cy\r\n"},
]
TASK = "Below is an instruction that describes a task"
REQUEST = "Write a response that appropriately completes the request."
PROMPTS = [
    f"{TASK}, paired with an input that provides further context. {REQUEST}\n\n"
    "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:",
    f"{TASK}. {REQUEST}\n\n### Instruction:\nSag hallö.\n\n### Response:",
    f"{TASK}. {REQUEST}\n\n### Instruction:\nNo input.\n\n### Response:",
]


def expected(prompts: list[str]) -> list[dict[str, object]]:
    return [
        {
            "id": str(number),
            "conversations": [{"from": "human", "value": prompt}, {"from": "gpt", "value": row["output"]}],
        }
        for number, (prompt, row) in enumerate(zip(prompts, ROWS, strict=True), start=1)
    ]


@pytest.mark.parametrize("lines", [False, True])
def test_the_file_is_the_one_that_mindformers_writes(tmp_path: Path, lines: bool) -> None:
    text = "\n".join(map(json.dumps, ROWS)) if lines else json.dumps(ROWS)
    (tmp_path / "rows").write_text(text)
    assert convert_alpaca(tmp_path / "rows", tmp_path / "new" / "out.json") == 3
    written = (tmp_path / "new" / "out.json").read_text(encoding="utf-8")
    assert written == json.dumps(expected(PROMPTS), ensure_ascii=False, indent=2) + "\n"


def test_the_words_alone(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text(json.dumps(ROWS))
    convert_alpaca(tmp_path / "rows", tmp_path / "out.json", prompt="plain")
    assert json.loads((tmp_path / "out.json").read_text()) == expected(["Add.\n\n1 2", "Sag hallö.", "No input."])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"instruction": "a"}]', r"rows:2 \(record 1\): output: expected text, found NoneType"),
        ('[{"instruction": 1, "output": "b"}]', "instruction: expected text, found int"),
        ("[1]", "expected an object, found int"),
        ('[{"instruction": "a", "input": "\\ud800", "output": "b"}]', r"record 1\): input: half a character"),
        ('{"a": \n', "not JSON"),
        ("[]", "no rows"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_left(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows").write_text(text)
    with pytest.raises(UserError, match=message):
        convert_alpaca(tmp_path / "rows", tmp_path / "out" / "out.json")
    assert list((tmp_path / "out").iterdir()) == []


def test_only_the_same_file_is_written_again(tmp_path: Path) -> None:
    rows, output = tmp_path / "rows", tmp_path / "out.json"
    rows.write_text(json.dumps(ROWS))
    assert convert_alpaca(rows, output) == convert_alpaca(rows, output) == 3
    for existing, prompt in ((rows, "alpaca"), (output, "plain")):
        before = existing.read_bytes()
        with pytest.raises(UserError, match=f"{existing.name}: exists and holds something else"):
            convert_alpaca(rows, existing, prompt)
        assert existing.read_bytes() == before


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        convert_alpaca(tmp_path / "rows", tmp_path)
