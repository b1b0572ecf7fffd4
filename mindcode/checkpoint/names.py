"""What each weight is called: one table, a row for each kind of weight, a column for each family of files.

`{}` stands for the layer number. Every mapping in either direction is derived from this table.
"""

import math
import re
from typing import Literal, NamedTuple

Dialect = Literal["ours", "hugging_face", "gguf", "meta"]


class WeightNames(NamedTuple):
    """The names of one weight in MindFormers' checkpoints (ours), Hugging Face's, GGUF's and Meta's."""

    ours: str
    hugging_face: str
    gguf: str
    meta: str


_PER_LAYER = (
    ("attention.wq", "self_attn.q_proj", "attn_q", "attention.wq"),
    ("attention.wk", "self_attn.k_proj", "attn_k", "attention.wk"),
    ("attention.wv", "self_attn.v_proj", "attn_v", "attention.wv"),
    ("attention.wo", "self_attn.o_proj", "attn_output", "attention.wo"),
    ("feed_forward.w1", "mlp.gate_proj", "ffn_gate", "feed_forward.w1"),
    ("feed_forward.w2", "mlp.down_proj", "ffn_down", "feed_forward.w2"),
    ("feed_forward.w3", "mlp.up_proj", "ffn_up", "feed_forward.w3"),
    ("attention_norm", "input_layernorm", "attn_norm", "attention_norm"),
    ("ffn_norm", "post_attention_layernorm", "ffn_norm", "ffn_norm"),
)
_PREFIXES = WeightNames("model.layers.{}.", "model.layers.{}.", "blk.{}.", "layers.{}.")

EMBEDDING, NORM, HEAD = "model.tok_embeddings.embedding_weight", "model.norm_out.weight", "lm_head.weight"
STATE_PREFIXES = ("adam_m.", "adam_v.", "adam_master.")
"""What the optimizer puts before a weight's name: both moments, and the fp32 copy of a half-precision weight."""
TABLE = (
    WeightNames(EMBEDDING, "model.embed_tokens.weight", "token_embd.weight", "tok_embeddings.weight"),
    *(
        WeightNames(*(f"{prefix}{stem}.weight" for prefix, stem in zip(_PREFIXES, stems, strict=True)))
        for stems in _PER_LAYER
    ),
    WeightNames(NORM, "model.norm.weight", "output_norm.weight", "norm.weight"),
    WeightNames(HEAD, "lm_head.weight", "output.weight", "output.weight"),
)

_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")
_NO_WEIGHTS = re.compile(r"(^|\.)(rotary_emb\.inv_freq|rope\.freqs|rope_freqs\.weight)$")


def translate(name: str, source: Dialect, target: Dialect) -> str | None:
    """Translate a weight's name between two families; None when the source family has no such name."""
    found = _LAYER.search(name)
    pattern = _LAYER.sub("{}", name, count=1)
    for row in TABLE:
        if getattr(row, source) == pattern:
            return str(getattr(row, target)).format(found.group() if found else "")
    return None


def order_in_checkpoint(name: str) -> tuple[int, float]:
    """Return a key for sorting tensors: weights before each kind of state, each in the order of the network.

    Within a layer, and among tensors of unknown names, the order stays as it was.
    """
    kind = next((number for number, prefix in enumerate(STATE_PREFIXES, 1) if name.startswith(prefix)), 0)
    layer = _LAYER.search(name)
    return kind, float(layer.group()) if layer else -1.0 if name.endswith(EMBEDDING) else math.inf


def is_rotary_table(name: str) -> bool:
    """Whether a tensor only repeats the rotary frequencies, which the configuration gives."""
    return _NO_WEIGHTS.search(name) is not None
