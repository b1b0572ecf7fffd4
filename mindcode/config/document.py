"""YAML as a tree that still knows where each value was written.

Scalars stay text: what `1e-5` or `True` means is decided by the type of the field it lands in (typed.py), so a YAML
file and a command line flag are read by the same rules. Trees are never changed in place; aliases share their parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from mindcode.utils.errors import UserError

Value: TypeAlias = "str | dict[str, Entry] | list[Entry] | None"

_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_NULL_FLAGS = ("null", "~")


@dataclass(frozen=True)
class Entry:
    """A value (text, None, a mapping or a list) and its place: `file:line`, or the flag that gave it."""

    value: Value
    where: str

    def place(self, key: str) -> str:
        """Return how an error about the dotted `key` begins: `file:line: key`, or the flag, which names the key."""
        return self.where if self.where == f"--{key}" else f"{self.where}: {key}"


def read_yaml(path: Path) -> Entry:
    """Read a YAML file of `key: value` lines. Raises UserError with the line of a syntax error or doubled key."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except yaml.YAMLError as error:
        raise UserError(_syntax_error(str(path), error)) from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: expected `key: value` lines at the top level")
    return Entry(_Reader(str(path)).value(root), str(path))


def read_flag(key: str, text: str) -> Entry:
    """Return the tree of one dotted override; `[...]` and `{...}` are read as YAML, all else is plain text."""
    where = f"--{key}"
    value: Value = None if text in _NULL_FLAGS else text
    if text.startswith(("[", "{")):
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            value = _Reader(where).value(node) if node else None
        except yaml.YAMLError as error:
            raise UserError(_syntax_error(where, error)) from error
    return nested(key, Entry(value, where))


def nested(key: str, entry: Entry) -> Entry:
    """Return the tree that holds only `entry`, at a dotted key."""
    for part in reversed(key.split(".")):
        entry = Entry({part: entry}, entry.where)
    return entry


def overlay(base: Entry, top: Entry) -> Entry:
    """Merge two trees: mappings key by key, anything else is replaced by what is on top."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, entry in top.value.items():
        merged[key] = overlay(merged[key], entry) if key in merged else entry
    return Entry(merged, base.where)


def find(tree: Entry, key: str) -> Entry | None:
    """Return the entry at a dotted key; `name[0]` is the first item of a list."""
    entry = tree
    for part in _parts(key):
        children = _children(entry)
        if part not in children:
            return None
        entry = children[part]
    return entry


def without(tree: Entry, key: str) -> Entry:
    """Return the tree without the entry at a dotted key, and without a section that this leaves empty."""
    return _without(tree, _parts(key))


def _without(tree: Entry, parts: Sequence[str]) -> Entry:
    head, *rest = parts
    children = _children(tree)
    if head not in children:
        return tree
    below = _without(children[head], rest) if rest else None
    kept = {name: below if name == head else entry for name, entry in children.items()}
    left = {name: entry for name, entry in kept.items() if entry is not None and (name != head or entry.value != {})}
    return Entry(list(left.values()) if isinstance(tree.value, list) else left, tree.where)


def _parts(key: str) -> list[str]:
    return key.replace("[", ".[").split(".")


def move(tree: Entry, source: str, target: str) -> Entry:
    """Return the tree with the entry at `source` placed at `target`; unchanged when there is none.

    Raises UserError when both are given.
    """
    entry = find(tree, source)
    if entry is None:
        return tree
    if find(tree, target) is not None:
        raise UserError(f"{entry.place(source)}: also given as {target}; keep one of them")
    return overlay(without(tree, source), nested(target, entry))


def walk(tree: Entry, prefix: str = "") -> Iterator[tuple[str, Entry]]:
    """Yield (dotted key, entry) for every mapping entry, a section before its content, also in lists of sections."""
    for name, entry in _children(tree).items():
        if isinstance(tree.value, dict):
            yield prefix + name, entry
            yield from walk(entry, f"{prefix}{name}.")
        else:
            yield from walk(entry, f"{prefix.removesuffix('.')}{name}.")


def _children(tree: Entry) -> dict[str, Entry]:
    """Return the content of a mapping, or of a list as `[0]`, `[1]`, ..."""
    if isinstance(tree.value, list):
        return {f"[{index}]": item for index, item in enumerate(tree.value)}
    return tree.value if isinstance(tree.value, dict) else {}


def _syntax_error(where: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{where}:{mark.line + 1}" if mark and not where.startswith("--") else where
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{place}: not valid YAML: {problem}"


class _Reader:
    """Turns the nodes of one document into values; an anchored node is turned once and shared."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done: dict[int, Value] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Value:
        """Return what a node holds; a section without an end (an alias inside its own anchor) is refused."""
        if id(node) in self._open:
            raise UserError(f"{self._where(node)}: an alias refers to the section it stands in")
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._read(node)
            self._open.remove(id(node))
        return self._done[id(node)]

    def _read(self, node: yaml.Node) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [Entry(self.value(child), self._where(child)) for child in node.value]
        return None if node.tag == _NULL else str(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Entry]:
        own: dict[str, Entry] = {}
        inherited: dict[str, Entry] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{self._where(key)}: a key must be a name")
            if key.tag == _MERGE:
                inherited = self._merged(child) | inherited
            elif key.value in own:
                raise UserError(f"{self._where(key)}: {key.value}: given twice, first at {own[key.value].where}")
            else:
                own[key.value] = Entry(self.value(child), self._where(key))
        return inherited | own

    def _merged(self, node: yaml.Node) -> dict[str, Entry]:
        """Return the keys that `<<: *anchor` or `<<: [*first, *second]` brings in; the first one wins."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Entry] = {}
        for part in parts:
            value = self.value(part)
            if not isinstance(value, dict):
                raise UserError(f"{self._where(part)}: `<<` needs a section to take keys from")
            merged = value | merged
        return merged

    def _where(self, node: yaml.Node) -> str:
        return self._name if self._name.startswith("--") else f"{self._name}:{node.start_mark.line + 1}"
