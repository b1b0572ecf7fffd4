"""A run's configuration in the words of MindFormers 1.9.0, by the tables of mindformers_keys.py.

translation = translate(config, read_tree(path, overrides))
translation.document["optimizer"]   # {"type": "AdamW", "betas": [0.9, 0.95], ...}
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import yaml

from mindcode.config.document import Entry, Value
from mindcode.config.loader import to_dict
from mindcode.config.schema import RunConfig
from mindcode.neighbours.mindformers_keys import ADDED, DROPPED, MOVED, WANTED


class Translation(NamedTuple):
    """The whole file as nested mappings, lists and scalars, and a line for each difference from what was written."""

    document: dict[str, Any]
    changes: tuple[str, ...]


def translate(config: RunConfig, written: Entry) -> Translation:
    """Return `config`, and what was `written` beyond mindcode's own keys, as MindFormers wants it.

    mindcode's defaults are spelt out, since 1.9.0 has others. `written` is the tree that `config` was built from.
    """
    user = dict(_flat(_plain(written.value)))
    before = user | dict(_flat(to_dict(config)))
    reasons = {key: why for key in before for pattern, why in DROPPED.items() if fnmatchcase(key, pattern)}
    changes = [f"{key} is left out: {why}" for key, why in reasons.items() if user.get(key) is not None]
    after = ADDED | {key: value for key, value in before.items() if key not in reasons}
    for key, value_of, why in WANTED:
        after[key] = value = value_of(before)
        if value is None and key in user:
            changes.append(f"{key} is left out: {why}")
        elif value is not None and value != before.get(key):
            changes.append(f"{key}: {value}: {why}")
    placed = {_place(key): value for key, value in after.items() if value is not None}
    return Translation(_nested(placed), tuple(changes))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for everything that is not a mapping with keys of its own."""
    if not isinstance(value, dict) or not value:
        yield prefix, value
        return
    for name, below in value.items():
        yield from _flat(below, f"{prefix}.{name}" if prefix else name)


def _plain(value: Value) -> Any:
    """Return what a tree holds without the places; scalars are read by the rules of YAML."""
    if isinstance(value, dict):
        return {name: _plain(entry.value) for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry.value) for entry in value]
    return _scalar(value) if value else value


def _scalar(text: str) -> Any:
    """Return the number, truth value or text that a scalar is in YAML, whatever signs it holds."""
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, text))


def _place(key: str) -> str:
    for source, target in MOVED.items():
        if fnmatchcase(key, source):
            return target.removesuffix("*") + key.removeprefix(source.removesuffix("*"))
    return key


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Lay out dotted keys as sections; `callbacks`, which mindcode sees as a mapping by type, is a list again."""
    document: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, name = key.split(".")
        section = document
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    document["callbacks"] = [{"type": kind, **settings} for kind, settings in document["callbacks"].items()]
    return document
