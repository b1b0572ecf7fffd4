"""Tensors that lie in files as one block or as many, and reading any part of them without reading the rest.

tensor = SlicedTensor("lm_head.weight", "Float32", (32000, 4096), blocks)
tensor.read(Placement((32000, 4096), (8000, 0), (4000, 4096)))
for rows in tensor.rows(placement): ...         # the same in pieces of constant size
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from mindcode.checkpoint.ckpt_file import CkptEntry
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.tensors import LazyTensor
from mindcode.parallel.plan import Placement, Shape
from mindcode.utils.errors import UserError

PIECE_BYTES = 1 << 20
_MIN_STRIDED = 4096
"""Bytes of a row below which reading the whole row costs less than one system call for its part."""

ReadBlock = Callable[[Shape, Shape], np.ndarray]
"""(first index, size), both relative to the block -> the numbers."""


def whole(shape: Shape) -> Placement:
    """Return the placement of a tensor that is not split."""
    return Placement(shape, (0,) * len(shape), shape)


@dataclass(frozen=True)
class StoredBlock:
    """A block of a tensor in a file."""

    start: Shape
    shape: Shape
    read: ReadBlock


@dataclass(frozen=True)
class SlicedTensor:
    """A tensor whose blocks, all different, tile it."""

    name: str
    dtype: str
    shape: Shape
    blocks: tuple[StoredBlock, ...]

    @property
    def nbytes(self) -> int:
        """Size of the whole tensor in bytes."""
        return self.itemsize * prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Size of one number in bytes."""
        return FORMATS[self.dtype].storage.itemsize

    def read(self, wanted: Placement) -> np.ndarray:
        """Return the numbers of one block of the tensor."""
        found = [piece for block in self.blocks if (piece := _common(block, wanted)) is not None]
        if len(found) == 1 and found[0].shape == wanted.shape:
            return found[0].block.read(found[0].start, found[0].shape)
        numbers = np.empty(wanted.shape, FORMATS[self.dtype].storage)
        for piece in found:
            numbers[_index(piece.target, piece.shape)] = piece.block.read(piece.start, piece.shape)
        return numbers

    def rows(self, wanted: Placement, piece_bytes: int = PIECE_BYTES) -> Iterator[np.ndarray]:
        """Yield the same numbers as runs of whole rows of about `piece_bytes`, in order."""
        row_bytes = self.itemsize * prod(wanted.shape[1:])
        step = max(1, piece_bytes // max(1, row_bytes))
        for first in range(0, wanted.shape[0], step):
            count = min(step, wanted.shape[0] - first)
            start = (wanted.start[0] + first, *wanted.start[1:])
            yield self.read(Placement(wanted.global_shape, start, (count, *wanted.shape[1:])))


@dataclass(frozen=True)
class _Piece:
    """What a stored block and a wanted one have in common: where it begins in each, and its size."""

    block: StoredBlock
    start: Shape
    target: Shape
    shape: Shape


def _common(block: StoredBlock, wanted: Placement) -> _Piece | None:
    start, target, shape = [], [], []
    for ours, size, theirs, length in zip(block.start, block.shape, wanted.start, wanted.shape, strict=True):
        first, last = max(ours, theirs), min(ours + size, theirs + length)
        if first >= last:
            return None
        start.append(first - ours)
        target.append(first - theirs)
        shape.append(last - first)
    return _Piece(block, tuple(start), tuple(target), tuple(shape))


def _index(start: Shape, shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(first, first + size) for first, size in zip(start, shape, strict=True))


def block_in_ckpt(path: Path, entry: CkptEntry, start: Shape) -> StoredBlock:
    """Describe a tensor of a .ckpt file that is the block at `start` of a larger one."""
    return StoredBlock(start, entry.shape, lambda first, shape: _read_ckpt(path, entry, first, shape))


def block_of_rows(tensor: LazyTensor) -> StoredBlock:
    """Describe a whole tensor of a source that can be read by rows."""

    def read(start: Shape, shape: Shape) -> np.ndarray:
        together = tensor.row_multiple
        first, stop = start[0] // together * together, -(-(start[0] + shape[0]) // together) * together
        rows = tensor.read_rows(first, stop)
        inside: np.ndarray = rows[_index((start[0] - first, *start[1:]), shape)]
        return inside

    return StoredBlock((0,) * len(tensor.shape), tensor.shape, read)


def _read_ckpt(path: Path, entry: CkptEntry, start: Shape, shape: Shape) -> np.ndarray:
    storage = FORMATS[entry.dtype].storage
    row_bytes = storage.itemsize * prod(entry.shape[1:])
    with open(path, "rb", buffering=0) as stream:
        reader = _Reader(path, stream.fileno(), entry)
        part_bytes = storage.itemsize * prod(shape[1:])
        if part_bytes < row_bytes and (len(shape) != 2 or part_bytes < _MIN_STRIDED):
            rows = reader.read(start[0] * row_bytes, shape[0] * row_bytes).view(storage)
            inside: np.ndarray = rows.reshape(shape[0], *entry.shape[1:])[_index((0, *start[1:]), shape)]
            return inside
        if part_bytes == row_bytes:
            return reader.read(start[0] * row_bytes, shape[0] * row_bytes).view(storage).reshape(shape)
        content = np.empty((shape[0], part_bytes), np.uint8)
        for row in range(shape[0]):
            reader.fill(content[row].data, (start[0] + row) * row_bytes + start[1] * storage.itemsize)
        return content.view(storage)


class _Reader:
    """Bytes of one tensor of an open .ckpt file, whose content lies in one or several runs."""

    def __init__(self, path: Path, descriptor: int, entry: CkptEntry) -> None:
        self._path, self._descriptor, self._segments = path, descriptor, entry.segments

    def read(self, offset: int, length: int) -> np.ndarray:
        content = np.empty(length, np.uint8)
        self.fill(content.data, offset)
        return content

    def fill(self, target: memoryview, offset: int) -> None:
        """Fill `target` with the bytes of the tensor from `offset` on."""
        begin = done = 0
        for segment in self._segments:
            first, last = max(offset, begin), min(offset + len(target), begin + segment.length)
            position = segment.offset + first - begin
            while first < last:
                count = os.preadv(self._descriptor, [target[done : done + last - first]], position)
                if count == 0:
                    raise UserError(f"{self._path}: became shorter while it was read")
                first, done, position = first + count, done + count, position + count
            begin += segment.length
