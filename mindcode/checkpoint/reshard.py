"""Checkpoints from one split into another, offline: every file is written piece by piece, memory is constant.

    source = Source(Path("output/checkpoint"))
    merge(source, Path("whole.ckpt"))                                        # one complete file
    transform(source, Target(Path("out")), split, threads=2)                 # out/rank_R/checkpoint_R.ckpt, a manifest

A transformation that was killed goes on where it was: beside each finished file lies a note that names the job, and the
manifest replaces the notes at the end. Numbers without dimensions go into every file, as training writes them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Protocol

from mindcode.checkpoint.block_file import ByteProgress, byte_bar, write_blocks
from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.manifest import Part, Position, combine, read_manifest, read_part, write_manifest
from mindcode.checkpoint.names import order_in_checkpoint
from mindcode.checkpoint.reshard_files import Job, note_pattern, write_files
from mindcode.checkpoint.runs import Checkpoint, readable_manifests
from mindcode.checkpoint.shard_file import check_space
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape
from mindcode.utils.errors import UserError

_ADVICE = "make room, or write to another disk"


class Divides(Protocol):
    """A rule that says which blocks a rank holds: the plan (placements.Split) or a strategy file."""

    @property
    def dims(self) -> ParallelDims:
        """The degrees."""

    def placements(self, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
        """Return the block of every tensor that `rank` holds."""


@dataclass(frozen=True)
class Undivided:
    """One rank holds everything."""

    dims: ParallelDims = field(default_factory=ParallelDims)

    def placements(self, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
        """Return all tensors, whole."""
        assert rank == 0
        return {name: whole(shape) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Target:
    """Where a checkpoint goes: {folder}/rank_R/{prefix}R.ckpt."""

    folder: Path
    prefix: str = "checkpoint_"

    def file(self, rank: int) -> Path:
        """Return one rank's file."""
        return self.folder / f"rank_{rank}" / f"{self.prefix}{rank}.ckpt"

    def note(self, rank: int, job: str) -> Path:
        """What lies beside a finished file until all are."""
        return self.file(rank).with_name(f".{self.file(rank).name}.{job}.done")

    @property
    def manifest(self) -> Path:
        """What makes the files a checkpoint that any split can read."""
        return self.folder / f"{self.prefix.rstrip('_-') or 'checkpoint'}.json"


def shapes_of(checkpoint: Checkpoint) -> dict[str, Shape]:
    """Return the global shape of every tensor, in an order that does not depend on how it was split."""
    return {name: checkpoint.tensors[name].shape for name in sorted(checkpoint.tensors, key=order_in_checkpoint)}


def merge(source: Source, path: Path) -> int:
    """Write all tensors of a checkpoint to one .ckpt file, whole; return its size in bytes.

    Raises UserError when the source is damaged, the disk too full, or the file one that is read.
    """
    checkpoint = source.open()
    _check_apart(checkpoint, [path])
    size = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    check_space(path, size, _ADVICE)
    with byte_bar(path.name, size) as bar:
        placements = Undivided().placements(shapes_of(checkpoint), rank=0)
        write_blocks(checkpoint, path, placements, ByteProgress(bar).advance)
    return path.stat().st_size


def transform(
    source: Source, target: Target, rule: Divides, threads: int = 1, ranks: Sequence[int] | None = None
) -> Path:
    """Write the files of `ranks`, or of all, in another split; return the manifest, which follows the last file.

    Raises UserError when the source is damaged, cannot be divided so, the disk is too full, or the source's files would
    be written over. The same call after a kill writes only the files that are not finished.
    """
    checkpoint = source.open()
    every, shapes = range(rule.dims.world_size), shapes_of(checkpoint)
    placements = [rule.placements(shapes, rank) for rank in every]
    _check_apart(checkpoint, [target.file(rank) for rank in every])
    name = _job_name(checkpoint, placements)
    jobs = [
        Job(target.file(rank), target.note(rank, name), placements[rank])
        for rank in (every if ranks is None else ranks)
        if _finished(target, target.note(rank, name)) is None
    ]
    size = sum(_bytes(checkpoint, job.placements) for job in jobs)
    check_space(target.manifest, size, _ADVICE)
    _retire(target, len(every))
    with byte_bar(target.folder.name, size) as bar:
        write_files(checkpoint, jobs, threads, ByteProgress(bar))
    _join(checkpoint, target, [target.note(rank, name) for rank in every], rule.dims)
    return target.manifest


def _bytes(checkpoint: Checkpoint, placements: Mapping[str, Placement]) -> int:
    return sum(checkpoint.tensors[name].itemsize * prod(block.shape) for name, block in placements.items())


def _check_apart(checkpoint: Checkpoint, written: Sequence[Path]) -> None:
    read = {path.resolve() for path in checkpoint.files}
    for path in written:
        if path.resolve() in read:
            raise UserError(f"{path}: is read and would be written over; name another destination")


def _job_name(checkpoint: Checkpoint, placements: Sequence[Mapping[str, Placement]]) -> str:
    """A name for exactly this work: the source's files as they are now, and what goes where."""
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in checkpoint.files]
    return hashlib.sha256(repr((files, placements)).encode()).hexdigest()[:16]


def _finished(target: Target, note: Path) -> Part | None:
    """Return what a file that is finished holds."""
    try:
        part = read_part(note)
        return part if (target.folder / part.file.name).stat().st_size == part.file.bytes else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _retire(target: Target, world_size: int) -> None:
    """Remove the manifest of a checkpoint that is replaced, so that it never names new files, and what stays over."""
    if not target.manifest.exists():
        return
    files = read_manifest(target.manifest).files
    target.manifest.unlink()
    for rank in range(world_size, len(files)):
        (target.folder / files[rank].name).unlink(missing_ok=True)


def _join(checkpoint: Checkpoint, target: Target, notes: Sequence[Path], dims: ParallelDims) -> None:
    """Make one checkpoint of the files when all are there; several processes may find that at once."""
    parts = [part for note in notes if (part := _finished(target, note)) is not None]
    if len(parts) < len(notes):
        return
    numbers = [checkpoint.state.get(name) for name in ("epoch_num", "step_num")]
    epoch, step = (int(number.array) if number else 0 for number in numbers)
    sequence = 1 + max((manifest.sequence for _, manifest in readable_manifests(target.folder)), default=0)
    write_manifest(target.manifest, combine(parts, Position(epoch, step), dims, sequence))
    for rank, _ in enumerate(notes):
        for note in target.file(rank).parent.glob(note_pattern(target.file(rank))):
            note.unlink(missing_ok=True)
