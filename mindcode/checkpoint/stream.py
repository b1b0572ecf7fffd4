"""Moving tensors from a source to a target: blocks are read and converted in threads, and written in order."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from mindcode.checkpoint.dtypes import convert
from mindcode.checkpoint.safetensors_file import TensorSpec
from mindcode.checkpoint.targets import Target
from mindcode.checkpoint.tensors import LazyTensor
from mindcode.utils.progress import Progress

# numpy lets go of the interpreter in its loops, so two threads convert in parallel; each waiting block costs memory
_THREADS = 2
_WAITING = 6
_MEBIBYTE = 1 << 20
_LARGEST_FREED = 16 << 20

Piece = tuple[TensorSpec, LazyTensor]


def copy_tensors(pieces: Sequence[Piece], target: Target, name: str) -> int:
    """Write every tensor in the format of its spec; return the bytes written. Shows a bar called `name`."""
    total = sum(spec.nbytes for spec, _ in pieces)
    written = 0
    with Progress(name, total=total // _MEBIBYTE, unit="MiB") as progress:
        for spec, block in _blocks(pieces):
            if spec is not None:
                target.begin(*spec)
            target.write(block)
            before, written = written, written + block.nbytes
            if done := written // _MEBIBYTE - before // _MEBIBYTE:
                progress.advance(done)
    return written


def _blocks(pieces: Iterable[Piece]) -> Iterator[tuple[TensorSpec | None, np.ndarray]]:
    """Yield converted blocks in order; the first of each tensor comes with its spec."""
    _keep_freed_memory()
    waiting: deque[tuple[TensorSpec | None, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for spec, tensor in pieces:
            for start, stop in tensor.blocks():
                first = spec if start == 0 else None
                waiting.append((first, pool.submit(_convert_rows, tensor, spec, start, stop)))
                if len(waiting) > _WAITING:
                    ready, future = waiting.popleft()
                    yield ready, future.result()
        while waiting:
            ready, future = waiting.popleft()
            yield ready, future.result()


def _keep_freed_memory() -> None:
    """Free one large block: from then on glibc keeps smaller ones for reuse, which halves the time."""
    np.empty(_LARGEST_FREED, np.uint8)


def _convert_rows(tensor: LazyTensor, spec: TensorSpec, start: int, stop: int) -> np.ndarray:
    return convert(tensor.read_rows(start, stop), tensor.dtype, spec.dtype, tensor.name)


def same_numbers(one: LazyTensor, other: LazyTensor) -> bool:
    """Whether two tensors of a source are equal in every number."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return all(np.array_equal(one.read_rows(*rows), other.read_rows(*rows)) for rows in one.blocks())
