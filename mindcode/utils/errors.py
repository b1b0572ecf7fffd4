"""The one exception that a person is meant to read.

`UserError` carries a single line that names the file, line or key, the value, what was expected and what to do.
The command line prints it and ends with exit code 2; everything else that escapes is a bug of ours.
"""

from pathlib import Path


class UserError(Exception):
    """Something outside the program is wrong: an input, a flag, a file, the machine."""


def not_utf8(path: Path, error: UnicodeDecodeError) -> UserError:
    """Return the error for a file that should be UTF-8 text."""
    return UserError(f"{path}: not UTF-8 text ({error.reason}: byte {error.object[error.start]:#x})")
