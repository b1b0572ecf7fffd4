"""A set of files that appears as a whole: made in a hidden folder beside their place, then moved in.

with Staging(Path("dataset/qa.mindrecord")) as staging:
    ...write staging.folder / "qa.mindrecord", staging.folder / "qa.mindrecord.db"...
    staging.commit(remove=[])

A note is written before the first move; whoever opens the same place next finishes the moves of a process that was
killed among them, or throws away what a process killed earlier had made.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mindcode.utils.atomic import atomic_open, fsync_dir
from mindcode.utils.errors import UserError
from mindcode.utils.lock import hold

_NOTE = "commit.json"


class Staging:
    """The hidden folder of one output, locked while it is open. Raises UserError when another process holds it."""

    def __init__(self, target: Path) -> None:
        """`target` is the output's path; its files lie in the same folder."""
        self._target = target
        self.folder = target.parent / f".{target.name}.staging"
        self._lock = -1

    def __enter__(self) -> "Staging":
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._acquire()
        self._finish_moves()
        self._clear()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def commit(self, remove: Sequence[Path]) -> None:
        """Remove the files in `remove`, then move everything into place, in the order of the names' making."""
        files = sorted(self.folder.iterdir(), key=lambda file: (_rank(file.name), file.name))
        for file in files:
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        with atomic_open(self.folder / _NOTE) as stream:
            json.dump({"move": [file.name for file in files], "remove": [file.name for file in remove]}, stream)
        self._finish_moves()

    def _finish_moves(self) -> None:
        note = self.folder / _NOTE
        if not note.is_file():
            return
        plan = json.loads(note.read_text(encoding="utf-8"))
        pending = [name for name in plan["move"] if (self.folder / name).exists()]
        if len(pending) == len(plan["move"]):
            for name in plan["remove"]:
                self._target.with_name(name).unlink(missing_ok=True)
        for name in pending:
            os.replace(self.folder / name, self._target.with_name(name))
        fsync_dir(self._target.parent)
        note.unlink()

    def _clear(self) -> None:
        for leftover in self.folder.iterdir():
            leftover.unlink()

    def _acquire(self) -> None:
        """Lock the folder itself; one that vanished in between belonged to a process that has just finished."""
        while True:
            self.folder.mkdir(exist_ok=True)
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                hold(descriptor, self._target)
            except UserError:
                os.close(descriptor)
                raise
            if self.folder.is_dir() and os.path.samestat(os.fstat(descriptor), os.stat(self.folder)):
                self._lock = descriptor
                return
            os.close(descriptor)


def _rank(name: str) -> int:
    """Data files first, then indexes, then the summary, which says that all is there."""
    return 2 if name.endswith(".json") else 1 if name.endswith(".db") else 0
