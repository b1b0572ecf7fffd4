"""A tiny model as numpy arrays, written as a run of any degrees writes it: all ranks in one process."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.ckpt_file import TensorRecord
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.plan import Placement

TINY = ModelConfig(hidden_size=16, num_layers=4, num_heads=4, n_kv_heads=4, vocab_size=24, intermediate_size=20)
STATE = [
    TensorRecord("loss_scale", "Float32", np.array(512.5, np.float32)),
    TensorRecord("global_step", "Int32", np.array(7, np.int32)),
]


def no_barrier() -> None:
    """The barrier of one process."""


def random_tensors(config: ModelConfig = TINY) -> dict[str, np.ndarray]:
    """Weights and moments, all different numbers."""
    random = np.random.default_rng(0)
    names = {
        f"{prefix}{name}": shape
        for prefix in ("", *STATE_PREFIXES[:2])
        for name, shape in parameter_shapes(config).items()
    }
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in names.items()}


def records(tensors: Mapping[str, np.ndarray], placements: Mapping[str, Placement]) -> list[ShardRecord]:
    """What one rank holds, cut out of the whole."""
    return [_record(name, tensors[name], placement) for name, placement in placements.items()]


def _record(name: str, tensor: np.ndarray, placement: Placement) -> ShardRecord:
    return ShardRecord(name, "Float32", placement, lambda: cut(tensor, placement))


def cut(tensor: np.ndarray, placement: Placement) -> np.ndarray:
    """Return one block of a tensor."""
    return tensor[tuple(slice(b, b + n) for b, n in zip(placement.start, placement.shape, strict=True))].copy()


def whole_records(tensors: Mapping[str, np.ndarray]) -> list[ShardRecord]:
    """What the only rank holds."""
    return records(tensors, {name: whole(tensor.shape) for name, tensor in tensors.items()})


def save_run(folder: Path, tensors: Mapping[str, np.ndarray], split: Split, position: Position, keep: int = 9) -> Path:
    """Save as all ranks of a run, one after the other; rank 0 comes last, so that it finds the files of the others."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    dims, path = split.plan.dims, folder
    for rank in reversed(range(dims.world_size)):
        store = ShardedStore(folder, "tiny", keep, rank, dims)
        path = store.save(records(tensors, split.placements(shapes, rank)), STATE, position, no_barrier)
    return path
