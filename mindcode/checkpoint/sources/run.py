"""The checkpoint of a run on one or many ranks as a source: its weights, joined, without the optimizer's state."""

from pathlib import Path

import numpy as np

from mindcode.checkpoint.blocks import SlicedTensor
from mindcode.checkpoint.names import translate
from mindcode.checkpoint.runs import open_run
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.tensors import LazyTensor
from mindcode.parallel.plan import Placement


def open_manifest(path: Path, manifest: Path) -> Source:
    """Open the checkpoint of a manifest; `path` is what the user named."""
    checkpoint = open_run(manifest)
    tensors = {name: _lazy(t) for name, t in checkpoint.tensors.items() if translate(name, "ours", "ours")}
    return Source(path, None, tensors, (), checkpoint.files)


def _lazy(tensor: SlicedTensor) -> LazyTensor:
    columns = tensor.shape[1:]

    def read_rows(start: int, stop: int) -> np.ndarray:
        return tensor.read(Placement(tensor.shape, (start, *(0 for _ in columns)), (stop - start, *columns)))

    return LazyTensor(tensor.name, tensor.dtype, tensor.shape, read_rows)
