"""What the tests of generation share: a small network, its weights, and a decoder of ids without a tokenizer."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.letters import Letters
from helpers.sizes import small_model

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ContextConfig
from mindcode.model.stats import parameter_shapes
from mindcode.runtime.context import set_context


@pytest.fixture(scope="session")
def letters() -> Letters:
    return Letters()


@pytest.fixture(scope="module")
def graph_mode() -> None:
    """Graph mode on the CPU."""
    set_context(ContextConfig(device_target="CPU"))


@pytest.fixture(scope="session")
def config() -> ModelConfig:
    """The small network, whose last id ends an answer."""
    return replace(small_model(seq_length=320), eos_token_id=60)


@pytest.fixture(scope="session")
def weights(config: ModelConfig) -> dict[str, np.ndarray]:
    """Random weights, large enough that predictions are far from uniform; those of the norms are not all ones."""
    generator = np.random.default_rng(5)
    return {
        name: (0.2 * generator.standard_normal(shape) + (len(shape) == 1)).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
