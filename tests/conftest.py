"""Fixtures that all tests share."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindcode.utils.log import get_logger


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests belong to."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """The real SmolLM2-135M-Instruct weights; scripts/test.sh fetches them and sets the variable."""
    path = os.environ.get("MINDCODE_SMOLLM2_GGUF")
    if not path:
        pytest.skip("MINDCODE_SMOLLM2_GGUF is not set: `bash scripts/test.sh` fetches the weights and sets it")
    return Path(path)


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What the project's logger says during a test (it does not propagate, so caplog alone sees nothing)."""
    seen: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
    get_logger().addHandler(handler)
    yield seen
    get_logger().removeHandler(handler)
