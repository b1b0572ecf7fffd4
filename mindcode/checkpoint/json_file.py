"""JSON files that hold one object."""

import json
from pathlib import Path
from typing import Any

from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises UserError where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object, atomically, as people like to read it."""
    with atomic_open(path) as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
