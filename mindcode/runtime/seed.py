"""One call that seeds every generator a run may draw from."""

import random

import mindspore as ms
import numpy as np


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and MindSpore; `seed` is any non-negative integer below 2^32, and 0 is a seed like any other."""
    random.seed(seed)
    np.random.seed(seed)
    ms.set_seed(seed)
