"""What the tests of generation share: a small network, its weights, and a decoder of ids without a tokenizer."""

import numpy as np
import pytest
from helpers.letters import Letters

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
    """Two layers, two query heads for each key head, everything in float32."""
    return ModelConfig(
        seq_length=320,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        n_kv_heads=2,
        vocab_size=61,
        intermediate_size=48,
        compute_dtype="float32",
        param_init_type="float32",
        eos_token_id=60,
    )


@pytest.fixture(scope="session")
def weights(config: ModelConfig) -> dict[str, np.ndarray]:
    """Random weights, large enough that predictions are far from uniform; those of the norms are not all ones."""
    generator = np.random.default_rng(5)
    return {
        name: (0.2 * generator.standard_normal(shape) + (len(shape) == 1)).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
