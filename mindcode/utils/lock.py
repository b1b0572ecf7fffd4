"""One writer at a time: locks on what is written itself, which end with the process that holds them.

with sole_writer(Path("samples.jsonl")): ...
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindcode.utils.errors import UserError


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other processes that ask from writing a file, which is made if it is not there; no other file is needed.

    Raises UserError when another process has asked before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        hold(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def hold(descriptor: int, target: Path) -> None:
    """Lock an open file or folder until it is closed. Raises UserError, which names `target`, when another holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"{target}: another process is writing it; wait for it, or choose another place") from error
