"""Rotary frequencies against transformers, tables and rotation against complex arithmetic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cells import forward_and_gradients
from helpers.numpy_llama import rotate
from mindspore import Tensor

from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.model.lean import LeanRope
from mindcode.model.rope import Rope, attention_scale, rope_frequencies, rope_tables
from mindcode.utils.errors import UserError

HEAD_128 = ModelConfig(hidden_size=512, num_heads=4, seq_length=64)
DYNAMIC_LENGTH, TRAINED_LENGTH = 12288, 4096
CASES = {
    "plain": replace(HEAD_128, theta=1e6),
    "linear": replace(HEAD_128, theta=1e4, extend_method="PI", scaling_factor=4.0),
    # The golden is the "dynamic" rule of transformers with factor 2 for a text of three times the trained length.
    "dynamic": replace(
        HEAD_128, theta=1e4, extend_method="NTK", scaling_factor=2.0 * DYNAMIC_LENGTH / TRAINED_LENGTH - (2.0 - 1.0)
    ),
    "yarn": replace(
        HEAD_128,
        theta=1e6,
        extend_method="YARN",
        scaling_factor=RopeScaling(factor=4.0, original_max_position_embedding=4096),
    ),
    "llama3": replace(
        HEAD_128,
        theta=5e5,
        extend_method="LLAMA3",
        scaling_factor=RopeScaling(factor=8.0, original_max_position_embedding=8192),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_frequencies_equal_transformers(repository: Path, case: str) -> None:
    golden = np.load(repository / "tests/golden/model_ropes.npz")
    # transformers computes powers in float32: a few units in the seventh digit.
    np.testing.assert_allclose(rope_frequencies(CASES[case]), golden[f"{case}/frequencies"], rtol=2e-6)
    assert attention_scale(CASES[case]) == pytest.approx(float(golden[f"{case}/scale"]))


@pytest.mark.parametrize("case", CASES)
def test_tables_hold_cosine_and_sine_of_every_position(case: str) -> None:
    config, positions = CASES[case], np.array([0, 1, 5, 1000])
    cos, sin = rope_tables(config, positions)
    assert cos.dtype == sin.dtype == np.float32 and cos.shape == (4, 128)
    angles = np.tile(np.outer(positions, rope_frequencies(config)), 2)
    # Angles are float32: at 1000 radians that is 6e-5.
    np.testing.assert_allclose(cos, np.cos(angles) * attention_scale(config), atol=1e-4)
    np.testing.assert_allclose(sin, np.sin(angles) * attention_scale(config), atol=1e-4)


def test_yarn_temperature_can_be_given() -> None:
    config = replace(CASES["yarn"], scaling_factor=RopeScaling(factor=4.0, mscale=1.25))
    assert attention_scale(config) == 1.25


def test_scaling_is_measured_from_the_trained_length_of_the_model_when_it_states_none_itself() -> None:
    stated = replace(CASES["llama3"], scaling_factor=RopeScaling(factor=8.0, original_max_position_embedding=2048))
    implied = replace(CASES["llama3"], scaling_factor=8.0, max_position_embedding=2048)
    np.testing.assert_array_equal(rope_frequencies(stated), rope_frequencies(implied))


def test_unknown_method_is_named() -> None:
    with pytest.raises(UserError, match="extend_method: unknown name 'NTKK'; did you mean NTK"):
        rope_frequencies(replace(HEAD_128, extend_method="NTKK"))


@pytest.mark.parametrize("cell", [Rope, LeanRope])
def test_rotation_equals_complex_multiplication(random: np.random.Generator, cell: type[Rope] | type[LeanRope]) -> None:
    config = replace(CASES["yarn"], hidden_size=64, num_heads=4)
    cos, sin = rope_tables(config, np.arange(10))
    x, dy = random.standard_normal((2, 2, 3, 10, 16)).astype(np.float32)
    expected, back = rotate(x, np.outer(np.arange(10), rope_frequencies(config)), attention_scale(config))
    inputs = [Tensor(x), Tensor(cos[None, None]), Tensor(sin[None, None])]
    output, gradients, _ = forward_and_gradients(cell(), inputs, dy, 1)
    # A few float32 roundings of values around 1.
    np.testing.assert_allclose(output, expected, atol=1e-5)
    np.testing.assert_allclose(gradients[0], back(dy)[0], atol=1e-5)
