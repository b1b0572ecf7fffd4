"""The whole network against the NumPy reference: loss, logits and the gradient of every weight."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.cells import network_results, set_weights
from helpers.numpy_llama import NumpyLlama
from mindspore import Tensor

from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.model.init import initial_values
from mindcode.model.kernels import CPU, PLAIN
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.rope import attention_scale, rope_frequencies
from mindcode.model.stats import parameter_shapes

# float32 against float64 through two layers: 1e-7 for each of a few dozen operations in a row.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}

YARN = RopeScaling(factor=4.0, original_max_position_embedding=8)
LLAMA3 = RopeScaling(factor=8.0, original_max_position_embedding=16)
CASES = {
    "plain kernels, untied head": ({}, PLAIN),
    "cpu kernels, tied head": ({"tie_word_embeddings": True}, CPU),
    "one key head for all": ({"n_kv_heads": 1, "extend_method": "PI", "scaling_factor": 2.0}, CPU),
    "a key head for each": ({"n_kv_heads": None, "extend_method": "LLAMA3", "scaling_factor": LLAMA3}, CPU),
    "tied, plain, yarn": ({"tie_word_embeddings": True, "extend_method": "YARN", "scaling_factor": YARN}, PLAIN),
    "ntk, shorter than seq_length": ({"extend_method": "NTK", "scaling_factor": 4.0, "seq_length": 20}, CPU),
}


def random_weights(config: ModelConfig) -> dict[str, np.ndarray]:
    """Weights for every parameter; those of the norms are not all ones."""
    shapes = parameter_shapes(config)
    weights = {name: initial_values(name, shape, 3, config.init_method_std) for name, shape in shapes.items()}
    generator = np.random.default_rng(1)
    return {
        name: w if w.ndim > 1 else w + 0.3 * generator.standard_normal(w.shape).astype("f")
        for name, w in weights.items()
    }


def batch(config: ModelConfig, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Two rows: padding inside and at the end of the first, ignored labels in the second."""
    generator = np.random.default_rng(2)
    input_ids, labels = generator.integers(1, config.vocab_size, (2, 2, length)).astype(np.int32)
    input_ids[0, 3], input_ids[0, -4:] = config.pad_token_id, config.pad_token_id
    labels[1, :5] = config.ignore_token_id
    return input_ids, labels


@pytest.mark.parametrize("case", CASES)
def test_network_equals_the_reference(config: ModelConfig, case: str) -> None:
    changes, kernels = CASES[case]
    config = replace(config, **changes)
    weights = random_weights(config)
    angles = np.outer(np.arange(12), rope_frequencies(config))
    reference = NumpyLlama(config, weights, angles, attention_scale(config))
    expected_loss, expected_logits = reference.loss(*batch(config, 12))

    loss, logits, gradients = network_results(config, kernels, weights, *batch(config, 12))

    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(logits, expected_logits, **TOLERANCE)
    assert gradients.keys() == reference.gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, reference.gradients[name], **TOLERANCE, err_msg=name)


def test_float16_stays_near_float32(config: ModelConfig) -> None:
    weights = random_weights(config)
    loss, logits, gradients = network_results(config, CPU, weights, *batch(config, 12))
    half = replace(config, compute_dtype="float16", rotary_dtype="float16", param_init_type="float16")
    half_loss, half_logits, half_gradients = network_results(half, CPU, weights, *batch(config, 12))
    assert half_logits.dtype == np.float16
    # float16 has 11 bits: half a thousandth for each operation, some percent of the largest values through two layers.
    assert half_loss == pytest.approx(loss, rel=1e-2)
    assert np.abs(half_logits - logits).max() < 0.03 * np.abs(logits).max()
    for name, gradient in gradients.items():
        assert np.abs(half_gradients[name] - gradient).max() < 0.05 * np.abs(gradient).max(), name


def test_rows_do_not_see_each_other_or_the_future(config: ModelConfig) -> None:
    model = LlamaForCausalLM(config, CPU)
    set_weights(model, random_weights(config))
    ids, _ = batch(config, 12)
    ids[0] = np.arange(1, 13)
    before = model(Tensor(ids)).asnumpy()
    ids[1] = 5
    ids[0, 7:] = 9
    after = model(Tensor(ids)).asnumpy()
    np.testing.assert_array_equal(before[0, :7], after[0, :7])
    assert np.abs(before[0, 7:] - after[0, 7:]).max() > 1e-3


def test_network_has_the_parameters_that_the_statistics_promise(config: ModelConfig) -> None:
    for tied in (False, True):
        config = replace(config, tie_word_embeddings=tied)
        parameters = LlamaForCausalLM(config).trainable_params()
        assert {p.name: tuple(p.shape) for p in parameters} == parameter_shapes(config)
        assert [p.name for p in parameters] == list(parameter_shapes(config))
