"""Formats by name, and which cells a device gets."""

from dataclasses import replace

import mindspore as ms
import pytest

from mindcode.config.model_schema import ModelConfig
from mindcode.model.dtypes import dtypes_of
from mindcode.model.kernels import ASCEND, ASCEND_FLASH, CPU, kernels_for
from mindcode.model.llama import LlamaForCausalLM
from mindcode.utils.errors import UserError


def test_every_format_is_read_from_its_key() -> None:
    config = ModelConfig(
        compute_dtype="float16",
        softmax_compute_type="float32",
        layernorm_compute_type="bfloat16",
        rotary_dtype="float32",
        param_init_type="bfloat16",
    )
    dtypes = dtypes_of(config)
    assert (dtypes.compute, dtypes.softmax, dtypes.norm) == (ms.float16, ms.float32, ms.bfloat16)
    assert (dtypes.rotary, dtypes.param, dtypes.embedding) == (ms.float32, ms.bfloat16, ms.bfloat16)
    assert dtypes_of(replace(config, embedding_init_type="float32")).embedding == ms.float32


def test_parameters_have_their_formats(config: ModelConfig) -> None:
    config = replace(config, param_init_type="float16", embedding_init_type="float32", num_layers=1)
    formats = {p.name: p.dtype for p in LlamaForCausalLM(config).trainable_params()}
    assert formats.pop("model.tok_embeddings.embedding_weight") == ms.float32
    norms = {name: dtype for name, dtype in formats.items() if "norm" in name}
    assert set(norms.values()) == {ms.float32}
    assert {dtype for name, dtype in formats.items() if name not in norms} == {ms.float16}


def test_unknown_format_names_its_key() -> None:
    with pytest.raises(UserError, match="softmax_compute_type: unknown name 'float23'; did you mean float32"):
        dtypes_of(ModelConfig(softmax_compute_type="float23"))


def test_kernels_follow_device_and_flash_attention(config: ModelConfig) -> None:
    flash = replace(config, use_flash_attention=True)
    assert kernels_for("CPU", config) == kernels_for("CPU", flash) == CPU
    assert kernels_for("Ascend", config) == ASCEND
    assert kernels_for("Ascend", flash) == ASCEND_FLASH
    with pytest.raises(UserError, match=r"context\.device_target: unknown name 'GPU'"):
        kernels_for("GPU", config)
