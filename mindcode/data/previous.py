"""What lies where a dataset is to be made: an earlier set of the same name, and files that are somebody else's.

previous = find_previous(Path("dataset/wiki.mindrecord"), shards=4)

A file belongs to the set when its summary or a MindRecord header says so. Nothing else is ever removed or replaced.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.data.mindrecord import read_header
from mindcode.data.mindrecord_writer import MAX_SHARDS, shard_names
from mindcode.utils.errors import UserError

_FIRST_SHARDS = ("", "0", "00", "000")
_SHOWN = 4
_ADVICE = "pass --overwrite or another --output_file"


@dataclass(frozen=True)
class Previous:
    """Those files of an earlier set that are there, and its summary when it is there."""

    files: tuple[Path, ...]
    summary: dict[str, Any] | None


def summary_path(output: Path) -> Path:
    """Where the summary of an output lies."""
    return output.with_name(f"{output.name}.summary.json")


def find_previous(output: Path, shards: int) -> Previous:
    """Find the set of this name, of any number of shards.

    Raises UserError for a file that belongs to something else and whose name the new set of `shards` files needs.
    """
    planned = shard_names(output.name, shards)
    summary = _read_summary(output)
    members = set(summary["files"] if summary else ())
    for name in {*planned, *(output.name + digits for digits in _FIRST_SHARDS)}:
        members |= set(_named_by_header(output, name))
    known = {*_with_indexes(members), *([summary_path(output).name] if summary else [])}
    for name in (*_with_indexes(planned), summary_path(output).name):
        if name not in known and output.with_name(name).exists():
            raise UserError(
                f"{output.with_name(name)}: exists and belongs to no set called {output.name}; "
                "choose another --output_file"
            )
    present = sorted(path for path in map(output.with_name, known) if path.exists())
    return Previous(tuple(present), summary)


def finished_summary(output: Path, previous: Previous, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of an earlier set that is whole and has this identity; raise UserError for any other."""
    summary = previous.summary
    if summary is None:
        raise UserError(f"{previous.files[0]}: exists; {_ADVICE}")
    damaged = [name for name, size in _sizes(summary) if not _has_size(output.with_name(name), size)]
    if damaged:
        shown = ", ".join([*damaged[:_SHOWN], *(["…"] if damaged[_SHOWN:] else [])])
        raise UserError(f"{output}: files missing or damaged ({shown}); {_ADVICE}")
    changed = _changes(summary, identity)
    if changed:
        raise UserError(f"{output}: exists, made with other settings ({', '.join(changed)}); {_ADVICE}")
    return summary


def _read_summary(output: Path) -> dict[str, Any] | None:
    """The summary beside `output`; None when there is none, or one of something else."""
    try:
        summary = json.loads(summary_path(output).read_bytes())
        return summary if _is_set(summary["files"], output) else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def _named_by_header(output: Path, name: str) -> Sequence[str]:
    """The whole set that the MindRecord file `name` says it is part of; nothing if that is not the set of `output`."""
    try:
        names = [Path(address).name for address in read_header(output.with_name(name))["shard_addresses"]]
    except (UserError, OSError, TypeError):
        return ()
    return names if _is_set(names, output) else ()


def _is_set(names: Any, output: Path) -> bool:
    return isinstance(names, list) and 1 <= len(names) <= MAX_SHARDS and names == shard_names(output.name, len(names))


def _with_indexes(names: Sequence[str] | set[str]) -> list[str]:
    return [file for name in sorted(names) for file in (name, f"{name}.db")]


def _sizes(summary: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Name and recorded size of every file of the set."""
    sizes = summary.get("bytes")
    for name in _with_indexes(summary["files"]):
        yield name, sizes.get(name) if isinstance(sizes, dict) else None


def _has_size(path: Path, size: object) -> bool:
    return path.is_file() and path.stat().st_size == size


def _changes(summary: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """What differs between the settings and inputs of a summary and those of this run."""
    try:
        settings, inputs = ({**summary["settings"]}, [entry["sha256"] for entry in summary["inputs"]])
    except (KeyError, TypeError):
        return ["the summary does not say which"]
    changed = [key for key, value in identity["settings"].items() if settings.get(key) != value]
    return changed + ([] if inputs == [entry["sha256"] for entry in identity["inputs"]] else ["input files"])
