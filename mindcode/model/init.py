"""Random initial weights that depend on the seed and the parameter's name only, never on the order of creation."""

import hashlib

import numpy as np
from mindspore import Tensor, nn


def initial_values(name: str, shape: tuple[int, ...], seed: int, std: float) -> np.ndarray:
    """Return float32 values: ones for vectors (norms), a normal distribution with mean 0 and `std` for matrices."""
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= np.float32(std)
    return values


def initialize(model: nn.Cell, seed: int, std: float) -> None:
    """Fill all trainable parameters of `model` in place, one at a time."""
    for parameter in model.trainable_params():
        values = initial_values(parameter.name, tuple(parameter.shape), seed, std)
        parameter.set_data(Tensor(values, parameter.dtype))
