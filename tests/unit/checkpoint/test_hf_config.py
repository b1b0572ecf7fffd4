"""config.json there and back: transformers 4's and 5's spelling, every rotary method, ids that are lists or absent."""

from pathlib import Path
from typing import Any

import pytest
from helpers.weights import hf_config

from mindcode.checkpoint.hf_config import config_from_hf, config_to_hf
from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.utils.errors import UserError

FILE = Path("config.json")


@pytest.mark.parametrize(
    ("method", "scaling"),
    [
        ("None", 1.0),
        ("PI", 4.0),
        ("YARN", RopeScaling(4.0, 1024, beta_slow=2.0, mscale=1.2)),
        ("LLAMA3", RopeScaling(8.0, 1024, 1.5, 5.0)),
    ],
)
def test_there_and_back(method: str, scaling: float | RopeScaling) -> None:
    config = ModelConfig(
        seq_length=512,
        n_kv_heads=8,
        intermediate_size=11008,
        max_position_embedding=512,
        theta=1e6,
        extend_method=method,
        scaling_factor=scaling,
        tie_word_embeddings=True,
        eos_token_id=(2, 7),
        pad_token_id=3,
    )
    data = config_to_hf(config, "float16")
    assert config_from_hf(data, FILE) == config
    newer = {key: value for key, value in data.items() if key not in ("rope_scaling", "rope_theta")}
    newer["rope_parameters"] = {"rope_type": "default", **(data["rope_scaling"] or {}), "rope_theta": 1e6}
    assert config_from_hf(newer, FILE) == config


def test_ntk_is_written_as_the_theta_that_it_is() -> None:
    config = ModelConfig(hidden_size=256, num_heads=4, theta=1e4, extend_method="NTK", scaling_factor=4.0)
    data = config_to_hf(config, "float32")
    assert data["rope_scaling"] is None
    assert data["rope_theta"] == pytest.approx(1e4 * 4.0 ** (64 / 62))


@pytest.mark.parametrize(
    ("ids", "pad"),
    [
        ({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}, 0),
        ({"bos_token_id": 128000, "eos_token_id": [128001, 128009]}, 128001),
        ({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 5}, 5),
        ({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": -1}, 0),
    ],
)
def test_a_model_without_a_padding_id_gets_one_that_is_no_word(ids: dict[str, Any], pad: int) -> None:
    assert config_from_hf(hf_config(vocab_size=130000, **ids), FILE).pad_token_id == pad


def test_null_is_as_good_as_absent() -> None:
    optional = ("rope_theta", "num_key_value_heads", "rms_norm_eps", "bos_token_id", "tie_word_embeddings")
    nothing = hf_config(**dict.fromkeys(optional), rope_scaling=None, rope_parameters=None)
    absent = {key: value for key, value in nothing.items() if value is not None}
    config = config_from_hf(nothing, FILE)
    assert config == config_from_hf(absent, FILE)
    assert (config.theta, config.kv_heads, config.rms_norm_eps) == (10000.0, 4, 1e-6), "transformers' defaults"


def test_a_linear_factor_of_one_scales_nothing() -> None:
    config = config_from_hf(hf_config(rope_scaling={"type": "linear", "factor": 1.0}), FILE)
    assert (config.extend_method, config.scaling_factor) == ("None", 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rope_scaling": {"type": "linear"}}, "has no factor"),
        ({"hidden_size": None}, "no hidden_size in it"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; only 'silu'"),
        ({"head_dim": 32}, "head_dim is 32; only 64"),
        ({"rope_scaling": 5}, "rope_scaling is 5, expected an object"),
        ({"rope_scaling": {"type": ["linear"], "factor": 2}}, "type .* cannot be converted"),
        (
            {"rope_scaling": {"type": "yarn", "factor": "two"}},
            "config.json: scaling_factor.factor: 'two', expected a num",
        ),
        ({"rope_scaling": {"type": "linear", "factor": [2]}}, "config.json: scaling_factor: a list, expected a number"),
        ({"rope_theta": "big"}, "config.json: theta: 'big', expected a number"),
        ({"num_attention_heads": 0}, "config.json: num_heads: 0, expected at least 1"),
        ({"num_attention_heads": 3}, "config.json: hidden_size: hidden_size 256 is not divisible by num_heads 3"),
        ({"num_key_value_heads": 0}, "config.json: n_kv_heads: 0, expected at least 1"),
        ({"num_hidden_layers": -1}, "config.json: num_layers: -1, expected at least 1"),
        ({"num_hidden_layers": 2.5}, "config.json: num_layers: '2.5', expected a whole number"),
        ({"hidden_size": {}}, "config.json: hidden_size: a section, expected a whole number"),
        ({"rms_norm_eps": "1e-5x"}, "config.json: rms_norm_eps: '1e-5x', expected a number"),
        ({"tie_word_embeddings": "perhaps"}, "config.json: tie_word_embeddings: 'perhaps', expected true or false"),
        ({"eos_token_id": []}, "config.json: eos_token_id: an empty list"),
        ({"eos_token_id": [2, "x"]}, "config.json: eos_token_id: a list, expected a whole number or a list"),
        ({"bos_token_id": 40}, "config.json: bos_token_id: 40 is not a row"),
    ],
)
def test_what_cannot_be_translated_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config_from_hf(hf_config(**change), FILE)
