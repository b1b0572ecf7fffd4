"""The checkpoints of a run of one process or many: written whole or not at all, the newest whole one found again.

    store = ShardedStore(Path("output"), prefix="codellama_34b", keep=5, rank=3, dims=ParallelDims(2, 4, 1))
    store.save(records, state, Position(epoch=1, step=200), barrier)
    path = store.newest()

    <output_dir>/checkpoint/{prefix}-{epoch}_{step}.json                                  the manifest
    <output_dir>/checkpoint/rank_R/{prefix}_rank_R-{epoch}_{step}.ckpt and meta.json      what rank R holds of the state
    <output_dir>/checkpoint_network/…                                                     weights only, named -network

The file names and meta.json's keys are MindFormers'. Every rank writes its file; when all have, rank 0 writes the
manifest, and only with it the checkpoint exists; then rank 0 removes those beyond the newest `keep`. At every moment
one whole checkpoint is on the disk, with room needed for keep + 1. All ranks must see the same folder.
"""

import glob
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.checkpoint.ckpt_file import TensorRecord, is_marked
from mindcode.checkpoint.manifest import Position, combine, read_part, write_manifest
from mindcode.checkpoint.runs import missing_file, newest_in, readable_manifests
from mindcode.checkpoint.shard_file import ShardRecord, Shards, check_space, write_shard
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError

META = "meta.json"

Barrier = Callable[[], None]


@dataclass(frozen=True)
class Saved:
    """One checkpoint that has a manifest."""

    name: str
    """The manifest's, in the folder of checkpoints."""
    epoch: int
    step: int
    sequence: int
    bytes: int


class ShardedStore:
    """The checkpoints of one run, as one of its ranks sees them."""

    def __init__(
        self, output_dir: Path, prefix: str, keep: int, rank: int = 0, dims: ParallelDims | None = None
    ) -> None:
        self.folder = Path(output_dir) / "checkpoint"
        self.dims = dims or ParallelDims()
        self._network_folder = Path(output_dir) / "checkpoint_network"
        self._prefix = prefix
        self._keep = keep
        self._rank = rank

    @property
    def rank_folder(self) -> Path:
        """Where this rank's files are."""
        return self.folder / f"rank_{self._rank}"

    def save(
        self, records: Sequence[ShardRecord], state: Sequence[TensorRecord], position: Position, barrier: Barrier
    ) -> Path:
        """Write this rank's file, meet the others, and as rank 0 make it a checkpoint; return the manifest's path.

        Every rank calls this at the same step. Raises UserError when the disk is too full or a rank's file is not
        there; what was there before stays.
        """
        shards = self._shards(position)
        self._begin(shards, records, barrier)
        self._write(shards, records, state, position)
        barrier()
        if self._rank == 0:
            self._commit(shards, position)
        return shards.manifest

    def save_network(self, records: Sequence[ShardRecord], position: Position, barrier: Barrier) -> Path:
        """Write the weights alone, in place of those of an earlier run; return this rank's file."""
        shards = Shards(self._network_folder, self._prefix, "network", self.dims.world_size)
        self._begin(shards, records, barrier)
        write_shard(shards, self._rank, records, ())
        barrier()
        if self._rank == 0:
            self._join(shards, position)
            written = {shards.file(rank) for rank in range(shards.world_size)}
            for path in shards.folder.glob(f"rank_*/{glob.escape(self._prefix)}_rank_*-{shards.tail}.ckpt"):
                if path not in written:
                    path.unlink()
        return shards.file(self._rank)

    def finish(self) -> None:
        """Return when nothing is being written any more; raises what went wrong with it."""

    def saved(self) -> list[Saved]:
        """List the checkpoints that have a manifest, oldest first."""
        return [
            Saved(path.name, *manifest.position, manifest.sequence, manifest.bytes)
            for path, manifest in readable_manifests(self.folder)
        ]

    def newest(self) -> Path | None:
        """Return the manifest of the newest checkpoint that all ranks have whole, or None when there is none at all.

        A damaged one is named in a warning and passed over. Raises UserError when all are damaged.
        """
        return newest_in(self.folder)

    def remove_leftovers(self) -> None:
        """Delete, as rank 0, the partial files of processes that were killed while they wrote.

        Must be called before any rank saves.
        """
        if self._rank:
            return
        prefix = glob.escape(self._prefix)
        for folder in (self.folder, self._network_folder):
            for pattern in (f"rank_*/.{prefix}_rank_*", f"rank_*/..{prefix}_rank_*", f".{prefix}-*.tmp"):
                for path in folder.glob(pattern):
                    path.unlink(missing_ok=True)
        self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        """Delete files of checkpoints that never got a manifest; without any manifest nothing says that they are."""
        named = {file.name for _, manifest in readable_manifests(self.folder) for file in manifest.files}
        for path in self.folder.glob(f"rank_*/{glob.escape(self._prefix)}_rank_*-*_*.ckpt") if named else ():
            # files of the same name that another program wrote are not ours to delete
            if f"{path.parent.name}/{path.name}" not in named and is_marked(path):
                path.unlink()

    def manifest(self, position: Position) -> Path:
        """Return where the manifest of the checkpoint of a position is, or would be."""
        return self._shards(position).manifest

    def _shards(self, position: Position) -> Shards:
        return Shards(self.folder, self._prefix, f"{position.epoch}_{position.step}", self.dims.world_size)

    def _begin(self, shards: Shards, records: Sequence[ShardRecord], barrier: Barrier) -> None:
        """A manifest of an abandoned past at this position goes first, so that it never names new files."""
        size = sum(record.nbytes for record in records)
        check_space(shards.file(self._rank), size, "make room, or lower keep_checkpoint_max")
        if self._rank == 0:
            shards.manifest.unlink(missing_ok=True)
        shards.part(self._rank).unlink(missing_ok=True)
        barrier()

    def _write(
        self, shards: Shards, records: Sequence[ShardRecord], state: Sequence[TensorRecord], position: Position
    ) -> None:
        file = write_shard(shards, self._rank, records, state)
        rows = [row for row in _meta_rows(self.rank_folder / META) if row["name"] != file.name]
        rows.append({"name": file.name, **position._asdict(), "bytes": file.stat().st_size})
        last = {"last_epoch": position.epoch, "last_step": position.step, "last_ckpt_file": file.name}
        with atomic_open(self.rank_folder / META) as stream:
            json.dump({**last, "files": rows}, stream, indent=1)

    def _commit(self, shards: Shards, position: Position) -> None:
        """Make one checkpoint of all ranks' files, then remove what is older than the newest `keep` whole ones."""
        self._join(shards, position)
        listed = readable_manifests(self.folder)
        whole = [manifest.sequence for path, manifest in listed if missing_file(path, manifest) is None]
        oldest = min(whole[-self._keep :], default=0)
        kept = {file.name for _, manifest in listed if manifest.sequence >= oldest for file in manifest.files}
        for path, manifest in listed:
            if manifest.sequence < oldest:
                path.unlink(missing_ok=True)
                for name in {file.name for file in manifest.files} - kept:
                    (self.folder / name).unlink(missing_ok=True)

    def _join(self, shards: Shards, position: Position) -> None:
        parts = []
        for rank in range(self.dims.world_size):
            try:
                parts.append(read_part(shards.part(rank)))
            except OSError as error:
                raise UserError(
                    f"{shards.file(rank)}: rank 0 does not see it; output_dir must lie on storage that all ranks share"
                ) from error
        sequence = 1 + max((saved.sequence for saved in self.saved()), default=0)
        write_manifest(shards.manifest, combine(parts, position, self.dims, sequence))
        for rank in range(self.dims.world_size):
            shards.part(rank).unlink(missing_ok=True)


def _meta_rows(meta: Path) -> list[dict[str, Any]]:
    """Return the checkpoints of one rank's meta.json that are still there."""
    try:
        rows = json.loads(meta.read_text(encoding="utf-8"))["files"]
        return [row for row in rows if (meta.parent / row["name"]).is_file()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
