"""What is built once and kept: folders under $XDG_CACHE_HOME/mindcode, or ~/.cache/mindcode, and locks on them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return where things of a kind are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mindcode" / name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and keep all others who ask for it waiting."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
