"""The same weights give the same logits and gradients as transformers (numbers: scripts/make_goldens_model.py)."""

import json
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from helpers.cells import network_results, set_weights
from mindspore import Tensor

from mindcode.checkpoint.names import translate
from mindcode.checkpoint.sources.open import open_source
from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.model.kernels import CPU
from mindcode.model.llama import LlamaForCausalLM

YARN = RopeScaling(factor=4.0, original_max_position_embedding=8)
LLAMA3 = RopeScaling(factor=8.0, original_max_position_embedding=16)
NETWORKS = {
    "plain_untied": {"theta": 1e6},
    "llama3_tied": {"theta": 5e5, "extend_method": "LLAMA3", "scaling_factor": LLAMA3, "tie_word_embeddings": True},
    "yarn_untied": {"theta": 1e4, "extend_method": "YARN", "scaling_factor": YARN},
    "linear_tied": {"theta": 1e4, "extend_method": "PI", "scaling_factor": 2.0, "tie_word_embeddings": True},
}


def renamed(golden: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """The golden's arrays of one kind (weight, gradient) under our parameter names."""
    found = {}
    for key, value in golden.items():
        if key.startswith(f"{kind}/"):
            name = translate(key.removeprefix(f"{kind}/"), "hugging_face", "ours")
            assert name is not None
            found[name] = value.astype(np.float32)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_and_gradients_equal_transformers(repository: Path, config: ModelConfig, name: str) -> None:
    golden = dict(np.load(repository / f"tests/golden/model_{name}.npz"))
    config = replace(config, vocab_size=53, intermediate_size=40, rms_norm_eps=1e-6, **NETWORKS[name])
    config = replace(config, seq_length=24, max_position_embedding=32)
    weights = renamed(golden, "weight")
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    loss, logits, gradients = network_results(config, CPU, weights, golden["input_ids"], golden["targets"])
    # Both sides compute in float32, in different orders.
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-4, rtol=1e-4)
    assert loss == pytest.approx(float(golden["loss"]), rel=1e-5)
    expected = renamed(golden, "gradient")
    assert expected
    for key, gradient in expected.items():
        np.testing.assert_allclose(gradients[key], gradient, atol=1e-5, rtol=1e-4, err_msg=key)


@pytest.mark.weights
def test_real_weights_give_the_logits_of_transformers(repository: Path, smollm2_gguf: Path) -> None:
    golden = json.loads((repository / "tests/golden/model_smollm2.json").read_text(encoding="utf-8"))
    source = open_source(smollm2_gguf)
    assert source.config is not None
    config = replace(
        source.config,
        seq_length=len(golden["input_ids"]),
        max_position_embedding=source.config.max_position_embedding or source.config.seq_length,
        compute_dtype="float32",
        param_init_type="float32",
    )
    model = LlamaForCausalLM(config, CPU)
    set_weights(model, {name: tensor.read() for name, tensor in source.tensors.items() if name != "lm_head.weight"})
    logits = model(Tensor([golden["input_ids"]], ms.int32)).asnumpy()[0]
    top_logits = np.array(golden["top_logits"])
    # 30 layers of float32 with logits around 30; the golden is rounded to five digits.
    np.testing.assert_allclose(np.take_along_axis(logits, np.array(golden["top_ids"]), -1), top_logits, atol=2e-3)
    assert logits.argmax(-1).tolist() == [row[0] for row in golden["top_ids"]]
