"""The table of names: every family maps to ours and back, and no two weights share a name."""

from typing import get_args

import pytest

from mindcode.checkpoint.names import TABLE, Dialect, is_rotary_table, translate

OTHERS: list[Dialect] = [dialect for dialect in get_args(Dialect) if dialect != "ours"]


@pytest.mark.parametrize(
    ("ours", "hugging_face", "gguf", "meta"),
    [
        (
            "model.tok_embeddings.embedding_weight",
            "model.embed_tokens.weight",
            "token_embd.weight",
            "tok_embeddings.weight",
        ),
        (
            "model.layers.47.attention.wk.weight",
            "model.layers.47.self_attn.k_proj.weight",
            "blk.47.attn_k.weight",
            "layers.47.attention.wk.weight",
        ),
        (
            "model.layers.0.feed_forward.w2.weight",
            "model.layers.0.mlp.down_proj.weight",
            "blk.0.ffn_down.weight",
            "layers.0.feed_forward.w2.weight",
        ),
        (
            "model.layers.3.ffn_norm.weight",
            "model.layers.3.post_attention_layernorm.weight",
            "blk.3.ffn_norm.weight",
            "layers.3.ffn_norm.weight",
        ),
        ("model.norm_out.weight", "model.norm.weight", "output_norm.weight", "norm.weight"),
        ("lm_head.weight", "lm_head.weight", "output.weight", "output.weight"),
    ],
)
def test_published_names(ours: str, hugging_face: str, gguf: str, meta: str) -> None:
    assert translate(hugging_face, "hugging_face", "ours") == ours
    assert translate(gguf, "gguf", "ours") == ours
    assert translate(meta, "meta", "ours") == ours


@pytest.mark.parametrize("dialect", OTHERS)
def test_every_name_goes_there_and_back(dialect: Dialect) -> None:
    names = [row.ours.format(11) for row in TABLE]
    translated = [translate(name, "ours", dialect) for name in names]
    assert len(set(translated)) == len(TABLE) == 12
    assert [translate(name or "", dialect, "ours") for name in translated] == names


@pytest.mark.parametrize("name", ["adam_m.model.layers.0.attention.wq.weight", "model.layers.x.ffn_norm.weight", "w"])
def test_foreign_names_have_no_translation(name: str) -> None:
    assert translate(name, "ours", "hugging_face") is None


def test_tables_of_frequencies_are_no_weights() -> None:
    assert is_rotary_table("model.layers.0.self_attn.rotary_emb.inv_freq")
    assert is_rotary_table("rope.freqs")
    assert is_rotary_table("rope_freqs.weight")
    assert not is_rotary_table("model.norm.weight")
