"""Initial weights: a function of seed and name."""

import numpy as np

from mindcode.config.model_schema import ModelConfig
from mindcode.model.init import initial_values, initialize
from mindcode.model.llama import LlamaForCausalLM


def test_values_depend_on_seed_and_name_only() -> None:
    one = initial_values("layers.0.w", (40, 50), 1, 0.02)
    np.testing.assert_array_equal(one, initial_values("layers.0.w", (40, 50), 1, 0.02))
    assert not np.array_equal(one, initial_values("layers.1.w", (40, 50), 1, 0.02))
    assert not np.array_equal(one, initial_values("layers.0.w", (40, 50), 2, 0.02))
    # 2000 draws: the error of the mean is 0.02 / √2000 = 0.0004, of the deviation 0.0003; four times that.
    assert abs(one.mean()) < 0.002 and abs(one.std() - 0.02) < 0.0013


def test_network_is_filled_with_them(config: ModelConfig) -> None:
    model = LlamaForCausalLM(config)
    initialize(model, seed=5, std=0.1)
    for parameter in model.trainable_params():
        values = parameter.asnumpy()
        np.testing.assert_array_equal(values, initial_values(parameter.name, values.shape, 5, 0.1))
    np.testing.assert_array_equal(model.model.norm_out.weight.asnumpy(), 1)
