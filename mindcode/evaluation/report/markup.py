"""Small pieces of HTML. Text from outside goes through `text`: what a model wrote is hostile until it is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any


def text(value: object) -> str:
    """Escape a value for use between tags or inside a quoted attribute."""
    return escape(str(value), quote=True)


def tile(label: str, value: str, note: str) -> str:
    """Return one figure with its name above and an explanation below."""
    return f'<div class="card tile"><span>{text(label)}</span><b>{text(value)}</b><span>{text(note)}</span></div>'


def missing(message: str) -> str:
    """Return the box that stands where something is not there."""
    return f'<p class="card missing">{text(message)}</p>'


def code(label: str, content: str) -> str:
    """Return a labelled block of preformatted text."""
    trimmed = content.strip("\n")
    return f'<div class="label">{text(label)}</div><pre>{text(trimmed)}</pre>'


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Return a table of names and values."""
    body = "".join(f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in rows)
    return f'<table class="facts">{body}</table>'


def flattened(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested mappings as (dotted name, value)."""
    rows: list[tuple[str, Any]] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += flattened(value, f"{prefix}{key}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            rows.append((prefix + key, ", ".join(map(str, value))))
        else:
            rows.append((prefix + key, value))
    return rows


def duration(seconds: float) -> str:
    """Write seconds as a person would: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
