"""The files of a resharded checkpoint, several at once: reading, checksums and writing in threads beside each other."""

import glob
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mindcode.checkpoint.block_file import ByteProgress, write_blocks
from mindcode.checkpoint.manifest import write_part
from mindcode.checkpoint.runs import Checkpoint
from mindcode.parallel.plan import Placement


@dataclass(frozen=True)
class Job:
    """One file to write."""

    path: Path
    note: Path
    """What says, once it is there, that the file is finished."""
    placements: Mapping[str, Placement]


def write_files(checkpoint: Checkpoint, jobs: Sequence[Job], threads: int, progress: ByteProgress) -> None:
    """Write all files; an error in one, or an interrupt, ends the others at their next piece."""
    count = _Count(progress)
    with ThreadPoolExecutor(threads, thread_name_prefix="reshard") as pool:
        try:
            for future in as_completed([pool.submit(_write, checkpoint, job, count) for job in jobs]):
                future.result()
        except BaseException:
            count.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def note_pattern(path: Path) -> str:
    """Return the names of all notes beside a file: .{file}.{job}.done"""
    return f".{glob.escape(path.name)}.*.done"


class _Stopped(Exception):
    """Another file cannot be written, so this one need not be."""


class _Count:
    """What all threads tell how far they are."""

    def __init__(self, progress: ByteProgress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._is_stopped = False

    def __call__(self, size: int) -> None:
        with self._lock:
            if self._is_stopped:
                raise _Stopped
            self._progress.advance(size)

    def stop(self) -> None:
        """End whoever counts next."""
        self._is_stopped = True


def _write(checkpoint: Checkpoint, job: Job, count: Callable[[int], None]) -> None:
    # the notes of other jobs are about the file that is replaced
    for old in job.note.parent.glob(note_pattern(job.path)):
        old.unlink(missing_ok=True)
    write_part(job.note, write_blocks(checkpoint, job.path, job.placements, count))
