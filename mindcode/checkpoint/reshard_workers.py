"""The files of a resharded checkpoint, written one after the other or by several processes."""

import glob
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

from mindcode.checkpoint.block_file import ByteProgress, write_blocks
from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.manifest import write_part
from mindcode.checkpoint.runs import Checkpoint
from mindcode.parallel.plan import Placement
from mindcode.utils.errors import UserError

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One file to write."""

    source: Source
    path: Path
    note: Path
    """What says, once it is there, that the file is finished."""
    placements: Mapping[str, Placement]


def run_jobs(checkpoint: Checkpoint, jobs: Sequence[Job], processes: int, progress: ByteProgress) -> None:
    """Write all files; `checkpoint` is the opened source of them.

    Raises UserError when a process was killed.
    """
    if processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            _write(checkpoint, job, progress.advance)
        return
    pool = ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), initializer=_end_with_parent)
    try:
        futures = [pool.submit(_write_opened, job) for job in jobs]
        while True:
            now = wait(futures, _LOOK_SECONDS, FIRST_EXCEPTION)
            for future in now.done:
                future.result()
            progress.reach(sum(_written(job) for job in jobs))
            if not now.not_done:
                return
    except BrokenProcessPool as error:
        raise UserError(
            f"{jobs[0].path.parent.parent}: a process was killed while it wrote (memory?); run the same command again "
            "to continue"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work forever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_opened(job: Job) -> None:
    _write(job.source.open(), job, lambda _: None)


def _write(checkpoint: Checkpoint, job: Job, count: Callable[[int], None]) -> None:
    # the notes of other jobs are about the file that is replaced
    for old in job.note.parent.glob(note_pattern(job.path)):
        old.unlink(missing_ok=True)
    write_part(job.note, write_blocks(checkpoint, job.path, job.placements, count))


def note_pattern(path: Path) -> str:
    """Return the names of all notes beside a file: .{file}.{job}.done"""
    return f".{glob.escape(path.name)}.*.done"


def _written(job: Job) -> int:
    """Bytes of a file that are on the disk, finished or not."""
    pattern = f".{glob.escape(job.path.name)}.*.tmp"
    sizes = [size_of(path) for path in job.path.parent.glob(pattern)] if job.path.parent.is_dir() else []
    return size_of(job.path) if job.note.exists() else max(sizes, default=0)


def size_of(path: Path) -> int:
    """Return the size of a file; 0 when it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
