"""A tensor that is still in its file: what it is, and how to read some of its rows.

Everything that moves weights works in blocks of whole rows, so memory does not depend on the size of a tensor.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindcode.checkpoint.dtypes import FORMATS
from mindcode.utils.errors import UserError

# small enough to stay in the processor's cache and in memory that is used again: three times as fast as 8 MiB
BLOCK_BYTES = 512 * 1024


@dataclass(frozen=True)
class LazyTensor:
    """A tensor of a source file; `read_rows(start, stop)` gives rows of the first dimension and may run in a thread."""

    name: str
    """What the source calls it, for messages."""
    dtype: str
    """Number format of what `read_rows` returns (dtypes.FORMATS)."""
    shape: tuple[int, ...]
    """Full shape."""
    read_rows: Callable[[int, int], np.ndarray]
    """Reads rows [start, stop); both are multiples of `row_multiple`."""
    row_multiple: int = 1
    """Rows that can only be read together (a permuted head)."""

    @property
    def nbytes(self) -> int:
        """Size in bytes in its own format."""
        return self.shape[0] * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Size of one row in bytes."""
        size = FORMATS[self.dtype].storage.itemsize
        for length in self.shape[1:]:
            size *= length
        return size

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield row ranges of about BLOCK_BYTES that cover the tensor in order."""
        together = self.row_bytes * self.row_multiple
        step = max(1, BLOCK_BYTES // together) * self.row_multiple
        for start in range(0, self.shape[0], step):
            yield start, min(start + step, self.shape[0])

    def read(self) -> np.ndarray:
        """Read all of it."""
        return self.read_rows(0, self.shape[0])


def read_span(path: Path, offset: int, length: int) -> np.ndarray:
    """Read `length` bytes at `offset` as uint8, without mapping the file; raises UserError when it ends before."""
    content = np.empty(length, np.uint8)
    done = 0
    with open(path, "rb", buffering=0) as stream:
        while done < length:
            count = os.preadv(stream.fileno(), [content[done:].data], offset + done)
            if count == 0:
                raise UserError(f"{path}: truncated: {length} bytes wanted at {offset}, {done} found; fetch it again")
            done += count
    return content


def tensor_in_file(path: Path, name: str, dtype: str, shape: tuple[int, ...], offset: int) -> LazyTensor:
    """Describe a tensor that lies row by row in `path`, starting at byte `offset`."""
    storage = FORMATS[dtype].storage
    columns = shape[1:]
    row_bytes = storage.itemsize * int(np.prod(columns, dtype=np.int64))

    def read_rows(start: int, stop: int) -> np.ndarray:
        content = read_span(path, offset + start * row_bytes, (stop - start) * row_bytes)
        return content.view(storage).reshape(stop - start, *columns)

    return LazyTensor(name, dtype, shape, read_rows)


def half_rotation_rows(block: np.ndarray, head_dim: int) -> np.ndarray:
    """Reorder the rows of whole heads from interleaved pairs (Meta, llama.cpp) to the half-rotation layout.

    Rotary embeddings turn pairs of a head's dimensions. Meta pairs rows 2i and 2i+1, Hugging Face and MindFormers
    rows i and i + head_dim/2. `block` is [heads * head_dim, columns].
    """
    pairs = block.reshape(-1, head_dim // 2, 2, *block.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(block.shape)


def in_half_rotation(tensor: LazyTensor, head_dim: int) -> LazyTensor:
    """The same tensor with each head in half-rotation order; heads are independent, so GQA needs nothing more."""

    def read_rows(start: int, stop: int) -> np.ndarray:
        return half_rotation_rows(tensor.read_rows(start, stop), head_dim)

    return LazyTensor(tensor.name, tensor.dtype, tensor.shape, read_rows, head_dim)


def joined_rows(parts: Sequence[LazyTensor]) -> LazyTensor:
    """The parts one below the other, as one tensor."""
    ends = np.cumsum([part.shape[0] for part in parts])

    def read_rows(start: int, stop: int) -> np.ndarray:
        pieces = []
        for part, end in zip(parts, ends, strict=True):
            begin = end - part.shape[0]
            first, last = max(start, begin), min(stop, end)
            if first < last:
                pieces.append(part.read_rows(int(first - begin), int(last - begin)))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    return LazyTensor(parts[0].name, parts[0].dtype, (int(ends[-1]), *parts[0].shape[1:]), read_rows)


def joined_columns(parts: Sequence[LazyTensor]) -> LazyTensor:
    """The parts side by side, as one tensor."""

    def read_rows(start: int, stop: int) -> np.ndarray:
        return np.concatenate([part.read_rows(start, stop) for part in parts], axis=1)

    columns = sum(part.shape[1] for part in parts)
    return LazyTensor(parts[0].name, parts[0].dtype, (parts[0].shape[0], columns), read_rows)
