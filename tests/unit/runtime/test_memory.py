"""The peak of a process' memory."""

import numpy as np
import pytest

from mindcode.runtime.memory import peak_memory_bytes
from mindcode.utils.errors import UserError


def test_the_peak_grows_with_what_is_touched_and_stays() -> None:
    """The kernel counts pages in batches, a little late: hence the allowance."""
    allowance = 8_000_000
    block = np.ones(peak_memory_bytes("CPU") + 64_000_000, np.uint8)
    size = block.nbytes
    assert peak_memory_bytes("CPU") >= size - allowance
    del block
    assert peak_memory_bytes("CPU") >= size - allowance


def test_other_devices_are_not_known() -> None:
    with pytest.raises(UserError, match="device_target"):
        peak_memory_bytes("GPU")
