"""A tree of text (document.py) becomes a frozen dataclass: the field's type decides how its text is read."""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from mindcode.config.document import Entry, Value
from mindcode.utils.errors import UserError

Section = TypeVar("Section")


class Parser(NamedTuple):
    """How text becomes a value (ValueError or KeyError when it cannot), and what to say was expected."""

    parse: Callable[[str], Any]
    expected: str


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


PARSERS: dict[type, Parser] = {
    bool: Parser(lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    int: Parser(int, "a whole number"),
    float: Parser(_finite, "a number"),
    str: Parser(str, "text"),
}


class _MismatchError(Exception):
    """The value does not fit this type; another alternative of the field may."""


def build(section: type[Section], tree: Entry, prefix: str = "") -> Section:
    """Make a `section` from a mapping; keys not given and keys without a value keep their defaults.

    Raises UserError (`file:line: key: ...`) for a value of the wrong type. Unknown keys are the caller's to refuse.
    """
    assert isinstance(tree.value, dict), "callers look before they build"
    fields = field_types(section)
    values = {}
    for name, entry in tree.value.items():
        if entry.value is not None or type(None) in alternatives(fields[name]):
            values[name] = _convert(entry, fields[name], prefix + name)
    return section(**values)


def field_types(section: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass."""
    return typing.get_type_hints(section)


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone."""
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def sections(root: type, prefix: str = "") -> list[tuple[str, type]]:
    """List the dataclasses below `root` with their dotted keys, parents first, in the order of the fields.

    The key of the items of a list ends with [].
    """
    found: list[tuple[str, type]] = []
    for name, kind in field_types(root).items():
        for member in alternatives(kind):
            section, mark = (_items_of(member), "[]") if _is_list(member) else (member, "")
            if dataclasses.is_dataclass(section):
                key, section = f"{prefix}{name}{mark}", typing.cast(type, section)
                found += [(key, section), *sections(section, f"{key}.")]
    return found


def describe(kind: Any) -> str:
    """Return what a type accepts, in the words of an error."""
    return " or ".join(_describe_one(member) for member in alternatives(kind))


def _describe_one(kind: Any) -> str:
    if kind is type(None):
        return "null"
    if _is_list(kind):
        return f"a list ({_describe_one(_items_of(kind))} each)"
    return "a section" if dataclasses.is_dataclass(kind) else PARSERS[kind].expected


def _convert(entry: Entry, kind: Any, key: str) -> Any:
    for member in alternatives(kind):
        try:
            return _convert_one(entry, member, key)
        except _MismatchError:
            continue
    raise UserError(f"{entry.place(key)}: {_shown(entry.value)}, expected {describe(kind)}")


def _convert_one(entry: Entry, kind: Any, key: str) -> Any:
    if kind is type(None):
        if entry.value is None:
            return None
    elif dataclasses.is_dataclass(kind):
        if isinstance(entry.value, dict):
            return build(typing.cast(type, kind), entry, f"{key}.")
    elif _is_list(kind) and dataclasses.is_dataclass(_items_of(kind)):
        if isinstance(entry.value, list):
            return tuple(_convert(item, _items_of(kind), f"{key}[{n}]") for n, item in enumerate(entry.value))
    elif _is_list(kind):
        return tuple(_parse(item, _items_of(kind)) for item in _items(entry.value))
    else:
        return _parse(entry.value, kind)
    raise _MismatchError


def _is_list(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _items_of(kind: Any) -> Any:
    return typing.get_args(kind)[0]


def _items(value: Value) -> list[Value]:
    if isinstance(value, list):
        return [item.value for item in value]
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    raise _MismatchError


def _parse(value: Value, kind: type) -> Any:
    if not isinstance(value, str):
        raise _MismatchError
    try:
        return PARSERS[kind].parse(value)
    except (ValueError, KeyError) as error:
        raise _MismatchError from error


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return repr(value)
    return "a section" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"
