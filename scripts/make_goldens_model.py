"""Makes tests/golden/model_*: what transformers computes with tiny random Llamas, rotary tables and real weights.

    python scripts/make_goldens_model.py [FOLDER_OF_THE_SMOLLM2_GGUF]

Needs torch and transformers (`pip install mindcode[benchmark]`); the tests need neither. Weights are written under
their Hugging Face names. Without the argument the golden of the real model stays as it is.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT = "def fibonacci(n: int) -> int:\n    "
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 53,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
    "initializer_range": 0.2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "original_max_position_embeddings": 16,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}
NETWORKS = {
    "plain_untied": {"rope_theta": 1e6},
    "llama3_tied": {"rope_theta": 5e5, "rope_scaling": LLAMA3, "tie_word_embeddings": True},
    "yarn_untied": {"rope_theta": 1e4, "rope_scaling": YARN},
    "linear_tied": {
        "rope_theta": 1e4,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "tie_word_embeddings": True,
    },
}
ROPES = {
    "plain": (1e6, 16384, {"rope_type": "default"}),
    "linear": (1e4, 4096, {"rope_type": "linear", "factor": 4.0}),
    "dynamic": (1e4, 4096, {"rope_type": "dynamic", "factor": 2.0}),
    "yarn": (1e6, 16384, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}),
    "llama3": (
        5e5,
        131072,
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "original_max_position_embeddings": 8192,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
        },
    ),
}
DYNAMIC_LENGTH = 12288
WITH_GRADIENT = (
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.1.mlp.down_proj.weight",
)


def network(name: str) -> None:
    """Random weights, a batch, its logits, its mean cross entropy and a few of the gradients."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, **NETWORKS[name], attn_implementation="eager"))
    for parameter in model.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.2)
        parameter.data = parameter.data.half().float()  # exact in float16, half the size in the file
    input_ids = torch.randint(1, SIZES["vocab_size"], (2, 24))
    targets = torch.randint(1, SIZES["vocab_size"], (2, 24))
    logits = model(input_ids).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    parameters = dict(model.named_parameters())
    arrays = {f"weight/{key}": value.detach().half().numpy() for key, value in parameters.items()}
    arrays |= {f"gradient/{key}": parameters[key].grad.numpy() for key in WITH_GRADIENT}
    arrays |= {"input_ids": input_ids.numpy(), "targets": targets.numpy(), "logits": logits.detach().numpy()}
    np.savez_compressed(GOLDEN / f"model_{name}.npz", loss=loss.item(), **arrays)


def ropes() -> None:
    """Frequencies and the scale of cos and sin, for heads of width 128."""
    arrays = {}
    for name, (theta, length, scaling) in ROPES.items():
        config = LlamaConfig(
            hidden_size=512,
            num_attention_heads=4,
            rope_theta=theta,
            max_position_embeddings=length,
            rope_scaling=None if name == "plain" else scaling,
        )
        if name == "plain":
            frequencies, scale = 1.0 / theta ** (torch.arange(0, 128, 2, dtype=torch.float32) / 128), 1.0
        else:
            frequencies, scale = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config, "cpu", seq_len=DYNAMIC_LENGTH)
        arrays |= {f"{name}/frequencies": frequencies.numpy(), f"{name}/scale": np.float64(scale)}
    np.savez_compressed(GOLDEN / "model_ropes.npz", **arrays)


def real_weights(folder: str) -> None:
    """The five most likely next tokens at every position of a prompt, with their logits."""
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF_FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF_FILE, dtype=torch.float32)
    input_ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    with torch.no_grad():
        values, ids = model(input_ids).logits[0].topk(5)
    golden = {
        "input_ids": input_ids[0].tolist(),
        "top_ids": ids.tolist(),
        "top_logits": [[round(value, 5) for value in row] for row in values.tolist()],
    }
    (GOLDEN / "model_smollm2.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for each in NETWORKS:
        network(each)
    ropes()
    if len(sys.argv) > 1:
        real_weights(sys.argv[1])
