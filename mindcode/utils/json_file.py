"""JSON files that hold one object, and such as people or other programs are to read."""

import json
from pathlib import Path
from typing import Any

from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import encode_json


def read_json(path: Path, remedy: str = "") -> dict[str, Any]:
    """Read a JSON object; raises UserError where it is none, which ends with `remedy`."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}){remedy}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Write a JSON file, atomically."""
    with atomic_open(path, "wb") as stream:
        stream.write(encode_json(value, indent=indent) + b"\n")
