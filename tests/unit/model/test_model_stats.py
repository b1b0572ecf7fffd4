"""Names, shapes and counts of the published sizes, without building them."""

from dataclasses import replace

from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import forward_flops_per_token, num_parameters, parameter_shapes, train_flops_per_token

CODELLAMA_34B = ModelConfig(
    seq_length=4096, hidden_size=8192, num_layers=48, num_heads=64, n_kv_heads=8, vocab_size=32000, theta=1e6
)
SMOLLM2_135M = ModelConfig(
    hidden_size=576,
    num_layers=30,
    num_heads=9,
    n_kv_heads=3,
    vocab_size=49152,
    intermediate_size=1536,
    tie_word_embeddings=True,
)


def test_parameters_counted_by_hand() -> None:
    config = ModelConfig(hidden_size=8, num_layers=2, num_heads=4, n_kv_heads=2, vocab_size=10, intermediate_size=6)
    layer = (8 * 8 + 2 * 8 * 4 + 8 * 8) + 3 * 8 * 6 + 2 * 8  # q, k and v, o; gate, up, down; two norms
    assert num_parameters(config) == 2 * layer + 8 + 2 * 10 * 8
    assert num_parameters(replace(config, tie_word_embeddings=True)) == 2 * layer + 8 + 10 * 8


def test_34b_has_the_published_number_of_parameters() -> None:
    assert num_parameters(CODELLAMA_34B) == 33_743_970_304


def test_34b_shapes() -> None:
    shapes = parameter_shapes(CODELLAMA_34B)
    assert len(shapes) == 48 * 9 + 3
    assert shapes["model.tok_embeddings.embedding_weight"] == shapes["lm_head.weight"] == (32000, 8192)
    assert shapes["model.layers.47.attention.wq.weight"] == (8192, 8192)
    assert shapes["model.layers.47.attention.wk.weight"] == (1024, 8192)
    assert shapes["model.layers.0.feed_forward.w1.weight"] == (22016, 8192)
    assert shapes["model.layers.0.feed_forward.w2.weight"] == (8192, 22016)
    assert shapes["model.norm_out.weight"] == (8192,)


def test_a_tied_head_counts_once() -> None:
    assert num_parameters(SMOLLM2_135M) == 134_515_008
    assert "lm_head.weight" not in parameter_shapes(SMOLLM2_135M)


def test_work_of_a_token() -> None:
    # Without attention: two operations for each weight that is multiplied, and the head whether it is tied or not.
    matrices = num_parameters(SMOLLM2_135M) - (2 * 30 + 1) * 576
    assert forward_flops_per_token(SMOLLM2_135M, 0) == 2 * matrices
    assert forward_flops_per_token(replace(SMOLLM2_135M, tie_word_embeddings=False), 0) == 2 * matrices
    # With it: q·k and weights·v over half of the keys on average.
    assert forward_flops_per_token(SMOLLM2_135M, 256) - 2 * matrices == 30 * 2 * 2 * 576 * 128
    assert train_flops_per_token(SMOLLM2_135M, 256) == 3 * forward_flops_per_token(SMOLLM2_135M, 256)
