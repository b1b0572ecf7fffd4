"""Instruction rows in alpaca form to conversations, as MindFormers' alpaca_converter.py makes them.

{"instruction", "input", "output"} becomes {"id", "conversations": [{"from": "human", …}, {"from": "gpt", …}]}.
"""

import filecmp
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mindcode.data.records import Record, expect_text, read_records
from mindcode.utils.atomic import atomic_path
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup

_TASK = "Below is an instruction that describes a task"
_REQUEST = "Write a response that appropriately completes the request."


def _alpaca_prompt(instruction: str, context: str) -> str:
    """The prompt of Stanford Alpaca."""
    if not context:
        return f"{_TASK}. {_REQUEST}\n\n### Instruction:\n{instruction}\n\n### Response:"
    return (
        f"{_TASK}, paired with an input that provides further context. {_REQUEST}\n\n"
        f"### Instruction:\n{instruction}\n\n### Input:\n{context}\n\n### Response:"
    )


def _plain_prompt(instruction: str, context: str) -> str:
    """The user's words alone, for models with a chat template of their own."""
    return f"{instruction}\n\n{context}" if context else instruction


PROMPTS: dict[str, Callable[[str, str], str]] = {"alpaca": _alpaca_prompt, "plain": _plain_prompt}


def convert_alpaca(data_path: Path, output_path: Path, prompt: str = "alpaca") -> int:
    """Convert a JSON list or JSONL file of alpaca rows to a JSON list of conversations; return their number.

    The output appears whole or not at all. Raises UserError that names the file and the record for a bad row, and for
    an output that exists and holds anything else (the input itself, for one).
    """
    make_prompt = lookup(PROMPTS, prompt, "--prompt")
    if output_path.is_dir():
        raise UserError(f"{output_path}: is a folder; --output_path is the name of a file")
    try:
        with atomic_path(output_path) as temporary:
            count = _write(temporary, _conversations(data_path, make_prompt))
            if not count:
                raise UserError(f"{data_path}: no rows")
            if output_path.exists() and not filecmp.cmp(temporary, output_path, shallow=False):
                raise UserError(f"{output_path}: exists and holds something else; choose another --output_path")
    except OSError as error:
        raise UserError(f"{output_path}: cannot write here ({error.strerror or error})") from error
    return count


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write a JSON list, row by row; return their number."""
    count = 0
    with open(path, "w", encoding="utf-8") as stream:
        for count, row in enumerate(rows, start=1):
            stream.write("[\n  " if count == 1 else ",\n  ")
            stream.write(json.dumps(row, ensure_ascii=False, indent=2).replace("\n", "\n  "))
        stream.write("\n]\n")
    return count


def _conversations(path: Path, make_prompt: Callable[[str, str], str]) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(read_records(path), start=1):
        instruction, context, output = _fields(record)
        turns = [{"from": "human", "value": make_prompt(instruction, context)}, {"from": "gpt", "value": output}]
        yield {"id": str(number), "conversations": turns}


def _fields(record: Record) -> tuple[str, str, str]:
    if record.error:
        raise UserError(f"{record.where}: {record.error}")
    row = record.value
    if not isinstance(row, dict):
        raise UserError(f"{record.where}: expected an object, found {type(row).__name__}")
    try:
        instruction, output = (expect_text(row.get(key), key) for key in ("instruction", "output"))
        context = "" if row.get("input") is None else expect_text(row["input"], "input")
    except ValueError as error:
        raise UserError(f"{record.where}: {error}") from error
    return instruction, context, output
