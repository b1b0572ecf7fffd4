"""Make the small models and numbers in tests/golden/weights with PyTorch and transformers, which the tests do without.

python scripts/make_goldens_weights.py tests/golden/weights [SmolLM2-135M-Instruct.gguf]

One tiny random Llama (grouped-query attention, untied head) is written as Hugging Face safetensors in shards, as a .bin
and in Meta's format cut in two; a second one (tied head, Llama 3 rotary scaling) as one safetensors file. From the
real GGUF only the digests of its tensors and the ids of a few texts are kept.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

HEADS, KV_HEADS, WIDTH, LAYERS = 4, 2, 16, 2
HEAD_DIM = WIDTH // HEADS
META_NAMES = {
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "model.layers": "layers",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
# where both transformers (which splits GGUF's digits otherwise) and the original tokenizer agree
TEXTS = (
    "Hello world",
    "def add(a, b):\n    return a + b\n",
    "  two  spaces\t\ttabs\r\n\r\n",
    "naïve café ☕ 日本語 🤖",
    "don't won't I'LL we've",
    "<|im_start|>user\nHi<|im_end|>\n",
)


def tiny(tied: bool, seed: int) -> LlamaForCausalLM:
    """A random model whose norms are random too, so that a norm in the wrong place shows."""
    torch.manual_seed(seed)
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=256,
        rope_parameters={"rope_theta": 500000.0, **(scaling if tied else {"rope_type": "default"})},
        tie_word_embeddings=tied,
        initializer_range=0.3,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
    return model.to(torch.bfloat16)


def interleaved(weight: torch.Tensor) -> torch.Tensor:
    """Put rows i and i + head_dim/2 of every head side by side, row by row, as Meta's complex rotation wants them."""
    result = torch.empty_like(weight)
    for head in range(weight.shape[0] // HEAD_DIM):
        for pair in range(HEAD_DIM // 2):
            base = head * HEAD_DIM
            result[base + 2 * pair] = weight[base + pair]
            result[base + 2 * pair + 1] = weight[base + pair + HEAD_DIM // 2]
    return result


def write_meta(model: LlamaForCausalLM, folder: Path) -> None:
    """Cut the model in two as Meta's tensor-parallel training did (Llama 2: the embedding along the columns)."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, torch.Tensor]] = [{}, {}]
    for name, value in model.state_dict().items():
        for theirs, meta in META_NAMES.items():
            name = name.replace(theirs, meta)
        if name.endswith(("wq.weight", "wk.weight")):
            value = interleaved(value)
        by_columns = name.endswith(("wo.weight", "w2.weight", "tok_embeddings.weight"))
        halves = [value, value] if value.dim() == 1 else value.chunk(2, dim=1 if by_columns else 0)
        for shard, half in zip(shards, halves, strict=True):
            shard[name] = half.contiguous().clone()
    for number, shard in enumerate(shards):
        shard["rope.freqs"] = torch.ones(HEAD_DIM // 2)
        torch.save(shard, folder / f"consolidated.{number:02d}.pth")
    params = {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "n_kv_heads": KV_HEADS, "multiple_of": 8}
    params |= {"norm_eps": 1e-6, "rope_theta": 500000.0, "vocab_size": -1}
    (folder / "params.json").write_text(json.dumps(params))


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 of the float32 bytes."""
    return hashlib.sha256(np.ascontiguousarray(tensor.float().numpy()).tobytes()).hexdigest()


def real_model(path: Path) -> dict[str, object]:
    """What transformers makes of the GGUF file."""
    where = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    tensors = {name: digest(value) for name, value in model.state_dict().items() if name != "lm_head.weight"}
    texts = {text: tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS}
    return {"tensors": tensors, "texts": texts}


def main() -> None:
    """Write everything into the folder that is the first argument."""
    root = Path(sys.argv[1])
    untied, tied = tiny(False, 1), tiny(True, 2)
    untied.save_pretrained(root / "hf_untied", max_shard_size="4KB")
    tied.save_pretrained(root / "hf_tied")
    (root / "hf_bin").mkdir(exist_ok=True)
    torch.save(untied.state_dict(), root / "hf_bin" / "pytorch_model.bin")
    untied.config.save_pretrained(root / "hf_bin")
    write_meta(untied, root / "meta")
    for extra in root.glob("*/generation_config.json"):
        extra.unlink()
    if len(sys.argv) > 2:
        text = json.dumps(real_model(Path(sys.argv[2])), indent=1, ensure_ascii=False)
        (root / "smollm2.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
