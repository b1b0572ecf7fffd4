"""The checkpoints of a run: written whole or not at all, the newest whole one found again, old ones removed.

    store = CheckpointStore(Path("output"), prefix="codellama_34b", keep=5)
    store.save(records, nbytes, Position(epoch=1, step=200))
    path = store.newest()

    <output_dir>/checkpoint/rank_0/{prefix}_rank_0-{epoch}_{step}.ckpt and meta.json       the whole training state
    <output_dir>/checkpoint_network/rank_0/{prefix}_rank_0-network.ckpt                   weights only

These are MindFormers' names. meta.json has its keys (last_epoch, last_step, last_ckpt_file) and, under `files`, the
size of every checkpoint that was finished; it is replaced after the checkpoint is on the disk, so that what it names
existed whole. Files share no storage: while one is written, there must be room for keep + 1 checkpoints.
"""

import copy
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, scan_ckpt
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

META = "meta.json"
_SPARE_BYTES = 16 * 1024 * 1024


class Position(NamedTuple):
    """How far a run was: the epoch and the finished steps in it, both from 1."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Saved:
    """One finished checkpoint, as listed in meta.json."""

    name: str
    epoch: int
    step: int
    bytes: int


class CheckpointStore:
    """One rank's checkpoints of one run."""

    def __init__(self, output_dir: Path, prefix: str, keep: int, rank: int = 0) -> None:
        self.folder = Path(output_dir) / "checkpoint" / f"rank_{rank}"
        self.network_path = (
            Path(output_dir) / "checkpoint_network" / f"rank_{rank}" / f"{prefix}_rank_{rank}-network.ckpt"
        )
        self._stem = f"{prefix}_rank_{rank}"
        self._keep = keep

    def at(self, folder: Path) -> "CheckpointStore":
        """Return a view of the same kind of checkpoints in another folder."""
        other = copy.copy(self)
        other.folder = folder
        return other

    def save(self, records: Iterable[TensorRecord], nbytes: int, position: Position) -> Path:
        """Write a checkpoint of about `nbytes`, then remove those beyond the newest `keep`.

        Raises UserError when the disk is too full; what was there before stays.
        """
        path = self.folder / f"{self._stem}-{position.epoch}_{position.step}.ckpt"
        _write(path, records, nbytes)
        kept = [saved for saved in self.saved() if saved.name != path.name and (self.folder / saved.name).exists()]
        kept.append(Saved(path.name, position.epoch, position.step, path.stat().st_size))
        self._write_meta(kept[-self._keep :])
        for saved in kept[: -self._keep]:
            (self.folder / saved.name).unlink(missing_ok=True)
        return path

    def save_network(self, records: Iterable[TensorRecord], nbytes: int) -> Path:
        """Write the weights alone, in place of those of an earlier run."""
        _write(self.network_path, records, nbytes)
        return self.network_path

    def saved(self) -> list[Saved]:
        """List the finished checkpoints, oldest first, from meta.json; from the files' names if that is unreadable."""
        try:
            meta = json.loads((self.folder / META).read_text(encoding="utf-8"))
            return [Saved(**row) for row in meta["files"]]
        except (OSError, ValueError, KeyError, TypeError):
            return self._saved_by_name()

    def newest(self) -> Path | None:
        """Return the newest checkpoint that is whole, or None when the run has none at all.

        A damaged one is named in a warning and passed over. Raises UserError when all are damaged.
        """
        saved = self.saved()
        for candidate in reversed(saved):
            problem = self._problem(candidate)
            if problem is None:
                return self.folder / candidate.name
            get_logger().warning("%s; taking the checkpoint before it", problem)
        if saved:
            raise UserError(f"{self.folder}: none of {len(saved)} checkpoints is whole; remove them to start again")
        return None

    def remove_leftovers(self) -> None:
        """Delete the partial files of a process that was killed while it wrote."""
        for folder in (self.folder, self.network_path.parent):
            for path in folder.glob(f".{self._stem}-*.tmp"):
                path.unlink()

    def _saved_by_name(self) -> list[Saved]:
        name = re.compile(rf"{re.escape(self._stem)}-(\d+)_(\d+)\.ckpt")
        found = [(path, name.fullmatch(path.name)) for path in self.folder.glob(f"{self._stem}-*.ckpt")]
        listed = [Saved(path.name, int(m[1]), int(m[2]), path.stat().st_size) for path, m in found if m]
        return sorted(listed, key=lambda saved: (saved.epoch, saved.step))

    def _problem(self, saved: Saved) -> str | None:
        path = self.folder / saved.name
        if not path.is_file():
            return f"{path}: missing"
        if path.stat().st_size != saved.bytes:
            return f"{path}: {path.stat().st_size} bytes instead of {saved.bytes}"
        try:
            scan_ckpt(path)
        except UserError as error:
            return str(error)
        return None

    def _write_meta(self, kept: list[Saved]) -> None:
        last = kept[-1]
        meta: dict[str, Any] = {"last_epoch": last.epoch, "last_step": last.step, "last_ckpt_file": last.name}
        with atomic_open(self.folder / META) as stream:
            json.dump({**meta, "files": [asdict(saved) for saved in kept]}, stream, indent=1)


def _write(path: Path, records: Iterable[TensorRecord], nbytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(path.parent).free, nbytes + _SPARE_BYTES
    if free < needed:
        raise UserError(
            f"{path}: a checkpoint needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; "
            "make room, or lower keep_checkpoint_max"
        )
    try:
        with CkptWriter(path) as writer:
            for record in records:
                writer.add(record)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); the checkpoint before it is intact") from error
