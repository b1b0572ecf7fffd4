"""Output files that are continued: the settings they were begun with, kept beside them, and the answers they hold.

with claimed(Path("answers.jsonl"), {"seed": 1}):
    present = answered(Path("answers.jsonl"), "id")
    ...append what is missing...
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import JsonlAppender, encode_json, read_jsonl
from mindcode.utils.lock import sole_writer


def settings_path(output: Path) -> Path:
    """Return the place of the settings of an output file."""
    return output.with_name(output.name + ".settings.json")


@contextmanager
def claimed(output: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """Hold an output file for as long as it is written: it is new (or empty), or was begun with the same settings.

    Raises UserError when the settings differ, when the output exists without settings, when it is a folder, and when
    another process is writing it.
    """
    if output.is_dir():
        raise UserError(f"{output}: is a folder; expected the name of a file")
    with sole_writer(output):
        _agree(output, settings)
        yield


def _agree(output: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a new output, or compare them with those of an earlier call."""
    path = settings_path(output)
    if output.stat().st_size == 0:
        with atomic_open(path, "wb") as stream:
            stream.write(encode_json(settings, indent=2))
        return
    if not path.exists():
        raise UserError(f"{output} exists without {path.name}: not written by this command; choose another name")
    if difference := other_settings(output, settings):
        raise UserError(
            f"{output} was begun with other settings ({difference}); delete it to begin anew, or choose another name"
        )


def other_settings(output: Path, settings: Mapping[str, Any]) -> str:
    """Return the first of `settings` that an output was begun without, as `key: before, now value`; "" if none is."""
    before, now = _read(settings_path(output), output), json.loads(encode_json(settings))
    return next((f"{key}: {before.get(key)!r}, now {now[key]!r}" for key in now if before.get(key) != now[key]), "")


def _read(path: Path, output: Path) -> dict[str, Any]:
    damaged = UserError(f"{path}: damaged; delete it and {output.name} to begin anew, or choose another name")
    try:
        settings = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(settings, dict):
        raise damaged
    return settings


def answered(output: Path, name_key: str) -> set[tuple[str, int]]:
    """Return name and sample number of the answers that are there, after removing a line that a kill cut off.

    Raises UserError for a line that is no answer.
    """
    JsonlAppender(output).close()
    found = set()
    for number, row in enumerate(read_jsonl(output), start=1):
        name, sample = row.get(name_key), row.get("sample")
        if not isinstance(name, str) or not isinstance(sample, int):
            raise UserError(f"{output}: answer {number} has no {name_key!r} or no 'sample'; delete it to begin anew")
        found.add((name, sample))
    return found
