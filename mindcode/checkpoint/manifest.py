"""The manifest of a checkpoint: every tensor with its global shape, and in which file each block of it lies.

    manifest = combine(parts, Position(1, 200), dims, sequence=7)
    write_manifest(path, manifest)          # the last file that is written: without it there is no checkpoint
    manifest = read_manifest(path)

Every rank states what it wrote in a `Part`; the parts together must cover every tensor. File names in it are relative
to the manifest, so a folder of checkpoints can be moved.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError

FORMAT = "mindcode checkpoint 1"


class Position(NamedTuple):
    """How far a run was: the epoch and the finished steps in it, both from 1."""

    epoch: int
    step: int


class Number(NamedTuple):
    """A tensor without dimensions, which is state of the run: the same on every rank."""

    dtype: str
    value: float


@dataclass(frozen=True)
class StoredFile:
    """One rank's file."""

    name: str
    """Relative to the manifest."""
    bytes: int


class Slice(NamedTuple):
    """A block of a tensor: the number of its file, its first index along every axis, its size, its checksum."""

    file: int
    start: Shape
    shape: Shape
    crc32: int
    """Of its bytes."""


@dataclass(frozen=True)
class TensorSlices:
    """One tensor and all its blocks; equal blocks lie in several files when ranks hold copies."""

    dtype: str
    shape: Shape
    slices: tuple[Slice, ...]

    def placements(self, file: int) -> tuple[Placement, ...]:
        """Return the blocks that one file holds."""
        return tuple(Placement(self.shape, part.start, part.shape) for part in self.slices if part.file == file)


@dataclass(frozen=True)
class Part:
    """What one rank wrote."""

    file: StoredFile
    dtypes: Mapping[str, str]
    placements: Mapping[str, Placement]
    checksums: Mapping[str, int]
    state: Mapping[str, Number]


@dataclass(frozen=True)
class Manifest:
    """A whole checkpoint."""

    position: Position
    sequence: int
    """Counts the checkpoints of a folder: the newest has the highest number, wherever its step lies."""
    dims: ParallelDims
    files: tuple[StoredFile, ...]
    tensors: Mapping[str, TensorSlices]
    state: Mapping[str, Number]

    def placements(self, file: int) -> dict[str, Placement]:
        """Return the block of each tensor that one file holds."""
        found = {name: tensor.placements(file) for name, tensor in self.tensors.items()}
        return {name: blocks[0] for name, blocks in found.items() if blocks}

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(file.bytes for file in self.files)


def combine(parts: Sequence[Part], position: Position, dims: ParallelDims, sequence: int) -> Manifest:
    """Join what the ranks wrote; UserError unless the blocks of every tensor cover it exactly."""
    tensors: dict[str, TensorSlices] = {}
    for number, part in enumerate(parts):
        for name, placement in part.placements.items():
            block = Slice(number, placement.start, placement.shape, part.checksums[name])
            new = TensorSlices(part.dtypes[name], placement.global_shape, (block,))
            known = tensors.get(name, TensorSlices(new.dtype, new.shape, ()))
            if (known.dtype, known.shape) != (new.dtype, new.shape):
                raise UserError(
                    f"{part.file.name}: {name} is {new.dtype} {list(new.shape)}, in the files before it "
                    f"{known.dtype} {list(known.shape)}; the ranks disagree about the model"
                )
            tensors[name] = TensorSlices(new.dtype, new.shape, known.slices + new.slices)
    for name, tensor in tensors.items():
        if not covers(tensor.shape, {(part.start, part.shape) for part in tensor.slices}):
            raise UserError(f"{parts[0].file.name}: the blocks of {name} in {len(parts)} files do not cover it")
    return Manifest(position, sequence, dims, tuple(part.file for part in parts), tensors, parts[0].state)


def covers(shape: Shape, blocks: set[tuple[Shape, Shape]]) -> bool:
    """Whether different blocks (first index, size) tile a tensor: they are the product of cuts along its axes."""
    axes = []
    for axis, length in enumerate(shape):
        cuts = sorted({(start[axis], start[axis] + size[axis]) for start, size in blocks})
        ends = [0, *(stop for _, stop in cuts)]
        if [begin for begin, _ in cuts] != ends[:-1] or ends[-1] != length:
            return False
        axes.append([(begin, stop - begin) for begin, stop in cuts])
    expected = {(tuple(b for b, _ in cell), tuple(s for _, s in cell)) for cell in product(*axes)}
    return expected == blocks


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; it appears whole."""
    with atomic_open(path) as stream:
        json.dump({"format": FORMAT, **_plain(manifest)}, stream, ensure_ascii=False)


def is_manifest(path: Path) -> bool:
    """Whether a file begins like a manifest."""
    try:
        with open(path, "rb") as stream:
            return FORMAT.encode() in stream.read(64)
    except OSError:
        return False


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; UserError when it is missing, cut off, or something else."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if tree["format"] != FORMAT:
            raise UserError(f"{path}: written as {tree['format']!r}, expected {FORMAT!r}; use the mindcode it is from")
        return _parse(tree)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint manifest") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the manifest of a checkpoint ({type(error).__name__}: {error})") from error


def write_part(path: Path, part: Part) -> None:
    """Write what this rank wrote, for rank 0."""
    tensors = {
        name: {"dtype": part.dtypes[name], "crc32": part.checksums[name], **asdict(placement)}
        for name, placement in part.placements.items()
    }
    with atomic_open(path) as stream:
        json.dump({"file": asdict(part.file), "tensors": tensors, "state": part.state}, stream)


def read_part(path: Path) -> Part:
    """Read what another rank wrote."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    dtypes = {name: entry.pop("dtype") for name, entry in tree["tensors"].items()}
    checksums = {name: entry.pop("crc32") for name, entry in tree["tensors"].items()}
    placements = {
        name: Placement(**{key: tuple(value) for key, value in entry.items()})
        for name, entry in tree["tensors"].items()
    }
    return Part(StoredFile(**tree["file"]), dtypes, placements, checksums, _numbers(tree["state"]))


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {
        "epoch": manifest.position.epoch,
        "step": manifest.position.step,
        "sequence": manifest.sequence,
        "dims": asdict(manifest.dims),
        "files": [asdict(file) for file in manifest.files],
        "state": manifest.state,
        "tensors": {name: asdict(tensor) for name, tensor in manifest.tensors.items()},
    }


def _parse(tree: Mapping[str, Any]) -> Manifest:
    files = tuple(StoredFile(**file) for file in tree["files"])
    tensors = {
        name: TensorSlices(
            entry["dtype"],
            tuple(entry["shape"]),
            tuple(Slice(file, tuple(start), tuple(shape), crc32) for file, start, shape, crc32 in entry["slices"]),
        )
        for name, entry in tree["tensors"].items()
    }
    position = Position(tree["epoch"], tree["step"])
    state = _numbers(tree["state"])
    return Manifest(position, tree["sequence"], ParallelDims(**tree["dims"]), files, tensors, state)


def _numbers(tree: Mapping[str, Any]) -> dict[str, Number]:
    return {name: Number(*value) for name, value in tree.items()}
