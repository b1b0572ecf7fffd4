"""Finding a name in a table, with an error that lists what is there."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from mindcode.utils.errors import UserError

Value = TypeVar("Value")
_LISTED = 60


def nearest(name: str, known: list[str]) -> str:
    """Return `; did you mean X?` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def lookup(table: Mapping[str, Value], name: str, what: str) -> Value:
    """Return `table[name]`; raise UserError that names `what`, the nearest entry and the others, if not too many."""
    if name not in table:
        known = sorted(table)
        listed = [*known[:_LISTED], *([f"{len(known) - _LISTED} more"] if len(known) > _LISTED else [])]
        raise UserError(f"{what}: unknown name {name!r}{nearest(name, known)} (known: {', '.join(listed)})")
    return table[name]
