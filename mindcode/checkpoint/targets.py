"""Where weights go: one .ckpt, one .safetensors, or a folder of safetensors with an index; all written in blocks."""

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mindcode.checkpoint.ckpt_file import CkptWriter
from mindcode.checkpoint.safetensors_file import SafetensorsWriter, TensorSpec
from mindcode.utils.json_file import write_json

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"


class Target(Protocol):
    """Takes tensors in a fixed order, each in blocks of rows."""

    def begin(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Start the next tensor."""

    def write(self, block: np.ndarray) -> None:
        """Write its next block."""


@contextlib.contextmanager
def open_file(path: Path, specs: Sequence[TensorSpec]) -> Iterator[Target]:
    """Write `specs` to a .ckpt or .safetensors file that appears when the block ends without error."""
    writer = CkptWriter(path) if path.suffix == ".ckpt" else SafetensorsWriter(path, specs, {"format": "ms"})
    with writer:
        yield writer


@contextlib.contextmanager
def open_shards(
    folder: Path, specs: Sequence[TensorSpec], metadata: Mapping[str, str], max_bytes: int
) -> Iterator[Target]:
    """Write `specs` to model.safetensors in `folder`, or to numbered shards of at most `max_bytes` and their index."""
    shards = plan_shards(specs, max_bytes)
    if len(shards) == 1:
        with SafetensorsWriter(folder / SINGLE_NAME, specs, metadata) as writer:
            yield writer
        return
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    target = _Shards([SafetensorsWriter(folder / n, s, metadata) for n, s in zip(names, shards, strict=True)], shards)
    with target.resources:
        yield target
    weight_map = {spec.name: name for name, shard in zip(names, shards, strict=True) for spec in shard}
    total = sum(spec.nbytes for spec in specs)
    write_json(folder / INDEX_NAME, {"metadata": {"total_size": total}, "weight_map": weight_map})


def plan_shards(specs: Sequence[TensorSpec], max_bytes: int) -> list[list[TensorSpec]]:
    """Cut the list where a shard would exceed `max_bytes`; a larger tensor gets a shard of its own."""
    shards: list[list[TensorSpec]] = []
    size = 0
    for spec in specs:
        if not shards or size + spec.nbytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(spec)
        size += spec.nbytes
    return shards


class _Shards:
    """Passes tensors to one writer after another; each is closed before the next is opened."""

    def __init__(self, writers: list[SafetensorsWriter], shards: list[list[TensorSpec]]) -> None:
        self.resources = contextlib.ExitStack()
        self._due = deque(zip(writers, shards, strict=True))
        self._writer = writers[0]
        self._left = 0

    def begin(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Start the next tensor, in the next shard when this one has all of its own."""
        if self._left == 0:
            self.resources.close()
            self._writer, shard = self._due.popleft()
            self.resources.enter_context(self._writer)
            self._left = len(shard)
        self._left -= 1
        self._writer.begin(name, dtype, shape)

    def write(self, block: np.ndarray) -> None:
        """Write its next block."""
        self._writer.write(block)
