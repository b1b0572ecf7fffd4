"""The descriptions that a model wrote of each problem's code, read back for the second step of HumanEvalExplain.

A generations file of the BigCode harness is a list with one list of texts per problem, in the order of the problems;
a samples file (.jsonl) names its problem in each line.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from mindcode.utils.errors import UserError, not_utf8
from mindcode.utils.jsonl import read_jsonl, why_not_json


def read_descriptions(path: Path, task_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the descriptions of each problem that has some. Raises UserError for any other kind of file."""
    if not path.is_file():
        raise UserError(f"--load_data_path: {path}: no such file; expected the generations of humanevalexplaindescribe")
    return _from_samples(path) if path.suffix == ".jsonl" else _from_generations(path, task_ids)


def _from_samples(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        name, text = row.get("task_id"), row.get("solution", row.get("completion"))
        if not isinstance(name, str) or not isinstance(text, str):
            raise UserError(f'{path}: sample {number}: expected {{"task_id": "...", "solution": "..."}}')
        found.setdefault(name, []).append(text)
    return found


def read_generations(path: Path) -> list[list[str]]:
    """Return the texts of each problem in a generations file. Raises UserError for any other kind of file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({why_not_json(error)})") from error
    if not isinstance(rows, list) or not all(_is_list_of_texts(row) for row in rows):
        raise UserError(f"{path}: expected a list of lists of texts, one list per problem")
    return rows


def _from_generations(path: Path, task_ids: Sequence[str]) -> dict[str, list[str]]:
    rows = read_generations(path)
    if len(rows) > len(task_ids):
        raise UserError(f"{path}: {len(rows)} lists for {len(task_ids)} problems; expected one list per problem")
    return dict(zip(task_ids, rows, strict=False))


def _is_list_of_texts(row: object) -> bool:
    return isinstance(row, list) and all(isinstance(text, str) for text in row)
