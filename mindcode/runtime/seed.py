"""One call that seeds every generator a run may draw from."""

import random

import mindspore as ms
import numpy as np


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and MindSpore with an integer from 0 (a seed like any other) to 2^32 - 1."""
    random.seed(seed)
    np.random.seed(seed)
    ms.set_seed(seed)
