"""Small Llama weights for the tests: golden folders, random networks, and writers that share no code with mindcode."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "weights"
HF_LAYER = {
    "self_attn.q_proj": ("heads", "width"),
    "self_attn.k_proj": ("kv", "width"),
    "self_attn.v_proj": ("kv", "width"),
    "self_attn.o_proj": ("width", "heads"),
    "mlp.gate_proj": ("ffn", "width"),
    "mlp.up_proj": ("ffn", "width"),
    "mlp.down_proj": ("width", "ffn"),
    "input_layernorm": ("width",),
    "post_attention_layernorm": ("width",),
}
GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def hf_config(**changes: object) -> dict[str, object]:
    """config.json of the random network."""
    config: dict[str, object] = {
        "model_type": "llama",
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 32,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return config | changes


def random_weights(config: dict[str, object], seed: int = 0) -> dict[str, np.ndarray]:
    """float32 weights under Hugging Face's names."""
    sizes = {name: int(str(config[key])) for name, key in {"width": "hidden_size", "ffn": "intermediate_size"}.items()}
    head_dim = sizes["width"] // int(str(config["num_attention_heads"]))
    sizes |= {"heads": sizes["width"], "kv": head_dim * int(str(config["num_key_value_heads"]))}
    vocabulary = int(str(config["vocab_size"]))
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, sizes["width"])}
    for layer in range(int(str(config["num_hidden_layers"]))):
        for name, axes in HF_LAYER.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = tuple(sizes[axis] for axis in axes)
    shapes["model.norm.weight"] = (sizes["width"],)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, sizes["width"])
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def write_hf(folder: Path, config: dict[str, object], weights: dict[str, np.ndarray]) -> Path:
    """Write a Hugging Face folder with the safetensors library."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    safetensors.numpy.save_file(weights, folder / "model.safetensors")
    return folder


def interleaved(weight: np.ndarray, head_dim: int) -> np.ndarray:
    """llama.cpp's and Meta's order of query and key rows, row by row: i and i + head_dim/2 come side by side."""
    result = np.empty_like(weight)
    for row in range(len(weight)):
        head, place = divmod(row, head_dim)
        half, pair = divmod(place, head_dim // 2)
        result[head * head_dim + 2 * pair + half] = weight[row]
    return result


def gguf_name(name: str) -> str:
    """Hugging Face's name in llama.cpp's words."""
    for theirs, ours in GGUF_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def start_gguf(path: Path, config: dict[str, object]) -> GGUFWriter:
    """A writer that has the sizes; add tensors and a tokenizer, then `finish_gguf`."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(int(str(config["num_hidden_layers"])))
    writer.add_context_length(int(str(config["max_position_embeddings"])))
    writer.add_embedding_length(int(str(config["hidden_size"])))
    writer.add_feed_forward_length(int(str(config["intermediate_size"])))
    writer.add_head_count(int(str(config["num_attention_heads"])))
    writer.add_head_count_kv(int(str(config["num_key_value_heads"])))
    writer.add_layer_norm_rms_eps(float(str(config["rms_norm_eps"])))
    writer.add_rope_freq_base(float(str(config["rope_theta"])))
    return writer


def add_gguf_tensor(writer: GGUFWriter, name: str, content: np.ndarray, kind: GGMLQuantizationType) -> None:
    """Add a tensor whose bytes are already in format `kind`."""
    writer.add_tensor(gguf_name(name), content, raw_dtype=kind)


def finish_gguf(writer: GGUFWriter) -> None:
    """Write everything and close."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def raw_tensors(path: Path) -> dict[str, tuple[list[int], str, bytes]]:
    """Shape, format and bytes of every tensor of a safetensors file, by the safetensors library."""
    found = safetensors.deserialize(path.read_bytes())
    return {name: (entry["shape"], entry["dtype"], bytes(entry["data"])) for name, entry in found}
