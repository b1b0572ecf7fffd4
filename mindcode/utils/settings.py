"""The settings that an output file was begun with, kept beside it, so that it is only continued with the same ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError


def settings_path(output: Path) -> Path:
    """Return the place of the settings of an output file."""
    return output.with_name(output.name + ".settings.json")


def claim(output: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a new (or empty) output, or compare them with those that an existing one was begun with.

    Raises UserError when they differ, and when the output exists without settings.
    """
    path = settings_path(output)
    if not output.exists() or output.stat().st_size == 0:
        with atomic_open(path) as stream:
            json.dump(settings, stream, indent=2, ensure_ascii=False)
        return
    if not path.exists():
        raise UserError(f"{output} exists without {path.name}: not written by this command; choose another name")
    before = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(settings))
    for key in now:
        if before.get(key) != now[key]:
            raise UserError(
                f"{output} was begun with other settings ({key}: {before.get(key)!r}, now {now[key]!r}); "
                "delete it to begin anew, or choose another name"
            )
