"""What the tests of the model share: graph mode on the CPU, run where the compiler's dumps do no harm."""

from pathlib import Path

import numpy as np
import pytest
from helpers.sizes import small_model

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context


@pytest.fixture(autouse=True)
def graph_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graph mode on the CPU, with a scratch folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    set_context(ContextConfig(device_target="CPU"))


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(7)


@pytest.fixture
def config() -> ModelConfig:
    """The small network."""
    return small_model(seq_length=12)
