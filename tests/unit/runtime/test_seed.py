"""The same seed, the same numbers, from every generator; 0 counts as a seed."""

import random

import numpy as np
import pytest
from mindspore import ops

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context
from mindcode.runtime.seed import seed_all


def draw(seed: int) -> tuple[float, float, list[float]]:
    seed_all(seed)
    return random.random(), float(np.random.rand()), ops.rand(3).asnumpy().tolist()


@pytest.mark.parametrize("seed", [0, 42])
def test_a_seed_repeats_itself(seed: int) -> None:
    set_context(ContextConfig(device_target="CPU"))
    first = draw(seed)
    assert draw(seed) == first
    assert all(one != other for one, other in zip(draw(seed + 1), first, strict=True))
