"""What one rank writes of a checkpoint: blocks of tensors in a .ckpt file, and a note that says where they belong."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.manifest import Number, Part, StoredFile, write_part
from mindcode.parallel.plan import Placement
from mindcode.utils.errors import UserError

_SPARE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class ShardRecord:
    """A block of a tensor that is about to be written; `read` gives its numbers when they are needed."""

    name: str
    dtype: str
    """A name of dtypes.FORMATS; bfloat16 is read as its bits in uint16."""
    placement: Placement
    read: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Size of the block."""
        return FORMATS[self.dtype].storage.itemsize * prod(self.placement.shape)


@dataclass(frozen=True)
class Shards:
    """The names of the files of one checkpoint."""

    folder: Path
    prefix: str
    tail: str
    """What follows the prefix: {epoch}_{step} or `network`."""
    world_size: int

    @property
    def manifest(self) -> Path:
        """The file that makes the others a checkpoint."""
        return self.folder / f"{self.prefix}-{self.tail}.json"

    def file(self, rank: int) -> Path:
        """One rank's tensors."""
        return self.folder / f"rank_{rank}" / f"{self.prefix}_rank_{rank}-{self.tail}.ckpt"

    def part(self, rank: int) -> Path:
        """One rank's note for rank 0, which exists between its file and the manifest."""
        file = self.file(rank)
        return file.with_name(f".{file.name}.slices")


def hold_in_memory(records: Sequence[ShardRecord]) -> list[ShardRecord]:
    """Return the same records with copies of their numbers, which later training steps do not change."""
    return [_held(record, record.read().copy()) for record in records]


def _held(record: ShardRecord, numbers: np.ndarray) -> ShardRecord:
    return replace(record, read=lambda: numbers)


def check_space(path: Path, size: int, advice: str) -> None:
    """Make the folder of `path`; UserError unless that is possible and its disk has room for `size` bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be made ({error.strerror}); name another folder") from error
    free, needed = shutil.disk_usage(path.parent).free, size + _SPARE_BYTES
    if free < needed:
        raise UserError(f"{path}: needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; {advice}")


def write_shard(shards: Shards, rank: int, records: Sequence[ShardRecord], state: Sequence[TensorRecord]) -> Path:
    """Write a rank's file and, when that is on the disk, its note; return the file."""
    path = shards.file(rank)
    try:
        with CkptWriter(path) as writer:
            for number in state:
                writer.add(number)
            for record in records:
                writer.add(TensorRecord(record.name, record.dtype, _checked(record)))
        placements = {record.name: record.placement for record in records}
        write_part(shards.part(rank), part_of(path, {r.name: r.dtype for r in records}, placements, writer, state))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); the checkpoint before it is intact") from error
    return path


def part_of(
    path: Path,
    dtypes: Mapping[str, str],
    placements: Mapping[str, Placement],
    writer: CkptWriter,
    state: Iterable[TensorRecord],
) -> Part:
    """Describe a rank's finished file rank_R/*.ckpt."""
    file = StoredFile(f"{path.parent.name}/{path.name}", path.stat().st_size)
    checksums = {name: writer.checksums[name] for name in placements}
    numbers = {n.name: Number(n.dtype, n.array.item()) for n in state if n.dtype in FORMATS}
    return Part(file, dtypes, placements, checksums, numbers)


def _checked(record: ShardRecord) -> np.ndarray:
    numbers = record.read()
    if numbers.shape != record.placement.shape:
        raise ValueError(f"{record.name}: {numbers.shape} to be written as a block of {record.placement.shape}")
    return numbers
