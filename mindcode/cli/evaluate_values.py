"""How the flags of generate, evaluate and score read their text."""

import argparse
import ast
import math
from typing import Any

from mindcode.cli.flags import unescaped
from mindcode.cli.numbers import whole_number


def count(text: str) -> int:
    """Return a number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 0 up")
    return int(text)


def number(text: str) -> float:
    """Return a number from 0 up."""
    value = _float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 up")
    return value


def seconds(text: str) -> float:
    """Return a limit of time."""
    value = _float(text)
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds above 0 and below 3600")
    return value


def sample_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of `1,10,100`."""
    return tuple(whole_number(part) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """Return the names of `a,b,c`, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def tokens(text: str) -> tuple[str, str, str]:
    """Return what stands before a question, after it, and before the answer."""
    parts = unescaped(text).split(",")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"{text!r}, expected USER,END,ASSISTANT with two commas")
    return parts[0], parts[1], parts[2]


def settings(text: str) -> dict[str, Any]:
    """Return the values of `a=1,b=text`, or of a dictionary in Python's notation."""
    if not text.strip():
        return {}
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = _pairs(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r}, expected arg1=val1,arg2=val2 or a dictionary")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _pairs(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in text.replace(" ", "").split(","):
        name, *values = pair.split("=")
        if not name or len(values) != 1:
            raise argparse.ArgumentTypeError(f"{text!r}, expected arg1=val1,arg2=val2 or a dictionary")
        try:
            found[name] = ast.literal_eval(values[0])
        except (ValueError, SyntaxError):
            found[name] = values[0]
    return found
