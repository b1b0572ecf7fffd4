"""Text becomes values by the type of the field."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mindcode.config.document import read_yaml
from mindcode.config.typed import build, describe, field_types, sections
from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class Inner:
    """A section."""

    number: float = 1.0


@dataclass(frozen=True)
class Outer:
    """One field of every kind of type that the schema uses."""

    whole: int = 3
    number: float = 0.5
    switch: bool = False
    text: str = "default"
    maybe: float | None = 0.1
    name_or_switch: bool | str = False
    switch_or_whole: bool | int = False
    ids: int | tuple[int, ...] = 2
    names: tuple[str, ...] = ("a",)
    inner: Inner = field(default_factory=Inner)
    factor: float | Inner = 1.0


def built(folder: Path, text: str) -> Outer:
    (folder / "a.yaml").write_text(text)
    return build(Outer, read_yaml(folder / "a.yaml"))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("number: 1e-5", "number", 1e-5),
        ("number: 1.e-5", "number", 1e-5),
        ("number: 1.0E5", "number", 1e5),
        ("number: 2", "number", 2.0),
        ("number: .5", "number", 0.5),
        ("whole: -1", "whole", -1),
        ("whole: '7'", "whole", 7),
        ("switch: True", "switch", True),
        ("switch: false", "switch", False),
        ("text: 34", "text", "34"),
        ("text: None", "text", "None"),
        ("text: ''", "text", ""),
        ("text:", "text", "default"),
        ("whole: ~", "whole", 3),
        ("maybe: null", "maybe", None),
        ("maybe: 0", "maybe", 0.0),
        ("name_or_switch: TRUE", "name_or_switch", True),
        ("name_or_switch: run.ckpt", "name_or_switch", "run.ckpt"),
        ("switch_or_whole: 2", "switch_or_whole", 2),
        ("ids: 5", "ids", 5),
        ("ids: [5, 6]", "ids", (5, 6)),
        ("ids: 5,6", "ids", (5, 6)),
        ("names: [a, b]", "names", ("a", "b")),
        ("names: a, b", "names", ("a", "b")),
        ("names: []", "names", ()),
        ("inner:", "inner", Inner()),
        ("inner: {number: 4}", "inner", Inner(4.0)),
        ("factor: {number: 4}", "factor", Inner(4.0)),
        ("factor: 4", "factor", 4.0),
    ],
)
def test_values(tmp_path: Path, text: str, name: str, value: object) -> None:
    result = getattr(built(tmp_path, text), name)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whole: 1.5", "a.yaml:1: whole: '1.5', expected a whole number"),
        ("number: fast", "a.yaml:1: number: 'fast', expected a number"),
        ("number: nan", "number: 'nan', expected a number"),
        ("number: inf", "number: 'inf', expected a number"),
        ("switch: maybe", "switch: 'maybe', expected true or false"),
        ("text: [a]", "text: a list, expected text"),
        ("maybe: x", "maybe: 'x', expected a number or null"),
        ("ids: [a]", "ids: a list, expected a whole number or a list (a whole number each)"),
        ("ids: [[1], [2]]", "ids: a list, expected a whole number or a list"),
        ("inner: 5", "inner: '5', expected a section"),
        ("\ninner:\n  number: x", "a.yaml:3: inner.number: 'x', expected a number"),
    ],
)
def test_errors_name_line_key_value_and_expectation(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        built(tmp_path, text)
    assert message in str(raised.value)


def test_sections_and_descriptions() -> None:
    assert sections(Outer) == [("inner", Inner), ("factor", Inner)]
    assert describe(field_types(Outer)["factor"]) == "a number or a section"
