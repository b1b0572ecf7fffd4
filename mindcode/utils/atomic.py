"""Files and folders that are either complete or not there.

Everything is written under a temporary name beside its destination, flushed to the disk and renamed into place, so
that a kill at any moment leaves the old state or the new one. The temporary name carries the process id: what a killed
process left behind is removed by the next one that writes the same file.
"""

import contextlib
import errno
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


def fsync_dir(path: Path) -> None:
    """Make a rename inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename the file written there into place, or remove it on any error."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        fsync_dir(path.parent)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)  # the name that the caller knows
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_open(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` for writing ("w" is UTF-8 text, "wb" bytes); it appears, whole, when the block ends without error."""
    encoding = None if "b" in mode else "utf-8"
    with atomic_path(path) as temporary, open(temporary, mode, encoding=encoding) as stream:
        yield stream


@contextlib.contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`; rename it into place, replacing a previous one, or remove it on any error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        retired = temporary.with_suffix(".old")
        if path.exists():
            os.replace(path, retired)
        os.replace(temporary, path)
        fsync_dir(path.parent)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that are gone left beside `path`; a retired folder without a successor comes back."""
    for retired in path.parent.glob(f".{glob.escape(path.name)}.*.old"):
        if not path.exists() and not _runs(retired):
            os.replace(retired, path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.[to][ml][pd]"):
        if _runs(leftover):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _runs(temporary: Path) -> bool:
    """Whether the process that made `.NAME.PID.tmp` still runs (or is this one, or the name is not ours)."""
    number = temporary.name.split(".")[-2]
    if not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(int(number))


def _is_zombie(number: int) -> bool:
    """Whether a process has ended and nobody has asked for its exit code, as happens in containers."""
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return state[:1] == ["Z"]
