"""What every language's file speaks of: a test program, what it is compiled and run with, and the proof at its end.

A test program is the answer, the tests, and a frame around both. The frame reads a number from its input before the
answer's code runs and prints `number ^ key` after the last check. The number is drawn when the program has started; key
and names in the frame are drawn anew for each program. Printing words, leaving early with exit code 0 or skipping the
tests therefore proves nothing.
"""

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DATA = Path(__file__).parent / "data"
_BITS = 63


@dataclass(frozen=True)
class Secret:
    """What the frame of one program knows and the answer does not."""

    key: int
    name: str
    """The beginning of all names in the frame."""


def new_secret() -> Secret:
    """Draw a key and a name."""
    return Secret(secrets.randbits(_BITS), "frame_" + secrets.token_hex(12))


def new_number() -> int:
    """Draw the number that a program is given when it has started."""
    return secrets.randbits(_BITS)


@dataclass(frozen=True)
class Program:
    """A test program before it is compiled."""

    files: Mapping[str, str]
    """Name -> text; gone before the program runs."""
    key: int
    message: str = ""
    """One line that the program is given before the number."""


@dataclass(frozen=True)
class Commands:
    """How the programs of a language are compiled and run on this machine, in a folder of their own."""

    run: tuple[str, ...]
    """A relative path is one in the program's folder."""
    compile: tuple[tuple[str, ...], ...] = ()
    """Leave `program` in the folder; everything else there is removed."""
    server: tuple[str, ...] = ()
    """A compiler that stays, instead (compile_server.py)."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Put into each program's folder: name -> content in base 64."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All that compiler and program see besides where to put temporary files."""


def content_of(path: Path) -> str:
    """Return a file in the form of Commands.files."""
    return b64encode(path.read_bytes()).decode()


class NotBuiltError(Exception):
    """Something that a language needs is missing or does not work; the text names it."""
