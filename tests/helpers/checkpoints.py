"""Checkpoints as tests compare them."""

from pathlib import Path

import numpy as np

from mindcode.checkpoint.ckpt_file import read_ckpt
from mindcode.checkpoint.dtypes import to_float32


def load_float32(path: Path) -> dict[str, np.ndarray]:
    """All floating-point parameters of a .ckpt file as float32, by name."""
    floats = ("Float32", "Float16", "BFloat16", "Float64")
    return {r.name: to_float32(r.array, r.dtype) for r in read_ckpt(path) if r.dtype in floats}
