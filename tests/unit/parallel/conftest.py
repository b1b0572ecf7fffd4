"""MindSpore is told its device before a test computes anything: afterwards it cannot be told any more."""

import pytest

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context


@pytest.fixture(autouse=True, scope="session")
def cpu() -> None:
    """Graph mode on the CPU, as in every other room."""
    set_context(ContextConfig(device_target="CPU"))
