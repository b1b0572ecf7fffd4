"""Loading in another split reads the bytes that a rank needs and no others, from one file or from many."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from helpers.shards import cut, save_run

from mindcode.checkpoint import blocks
from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.reshard import merge
from mindcode.parallel.dims import ParallelDims

ROWS = (16, 2048)
"""Half a row is as long as what is read at once."""


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    """One tensor of each role on either stage, and its first moment."""
    weights = ["attention.wq.weight", "attention.wo.weight", "attention_norm.weight"]
    names = [f"model.layers.{layer}.{weight}" for layer in range(2) for weight in weights]
    names = ["model.tok_embeddings.embedding_weight", *names, "lm_head.weight"]
    random = np.random.default_rng(0)
    return {
        f"{prefix}{name}": random.standard_normal(ROWS[1:] if "norm" in name else ROWS).astype(np.float32)
        for prefix in ("", "adam_m.")
        for name in names
    }


@pytest.fixture(scope="module", params=["complete", "sharded"])
def source(
    request: pytest.FixtureRequest, tensors: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """One complete file, or a run on eight ranks whose optimizer state is cut by replicas."""
    folder = tmp_path_factory.mktemp("source")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    manifest = save_run(folder, tensors, Split.of_tensors(shapes, ParallelDims(2, 2, 2), 0, 0), Position(1, 5))
    if request.param == "sharded":
        return manifest
    merge(Source(manifest), folder / "whole.ckpt")
    return folder / "whole.ckpt"


class Counter:
    """Stands in for os.preadv and counts what it reads."""

    def __init__(self) -> None:
        self.bytes = 0
        self._preadv = os.preadv

    def __call__(self, descriptor: int, buffers: list[memoryview], offset: int) -> int:
        count = self._preadv(descriptor, buffers, offset)
        self.bytes += count
        return count


@pytest.mark.parametrize(
    ("data", "model", "stages", "zero"),
    [
        (*degrees, zero)
        for *degrees, zero in product((1, 2), (1, 2), (1, 2), (None, 0))
        if zero is None or degrees[0] == 2
    ],
)
def test_each_rank_reads_what_it_holds(
    tensors: dict[str, np.ndarray],
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: int,
    model: int,
    stages: int,
    zero: int | None,
) -> None:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    split = Split.of_tensors(shapes, ParallelDims(data, model, stages), 0, zero)
    for rank in range(split.dims.world_size):
        counter = Counter()
        monkeypatch.setattr(blocks.os, "preadv", counter)
        wanted = split.placements(shapes, rank)
        held = 0
        for name, numbers in open_checkpoint(source).read(wanted):
            held += numbers.nbytes
            assert np.array_equal(numbers, cut(tensors[name], wanted[name])), name
        assert counter.bytes == held


def test_of_narrow_rows_whole_ones_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call for each half of a row would cost more than the other half."""
    name, numbers = "model.layers.0.attention.wo.weight", np.arange(64, dtype=np.float32).reshape(8, 8)
    shapes = {name: numbers.shape}
    manifest = save_run(tmp_path, {name: numbers}, Split.of_tensors(shapes, ParallelDims()), Position(1, 5))
    counter = Counter()
    monkeypatch.setattr(blocks.os, "preadv", counter)
    wanted = Split.of_tensors(shapes, ParallelDims(1, 2, 1)).placements(shapes, rank=1)
    (found,) = open_checkpoint(manifest).read(wanted)
    assert np.array_equal(found[1], numbers[:, 4:])
    assert counter.bytes == numbers.nbytes
