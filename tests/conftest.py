"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest


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
