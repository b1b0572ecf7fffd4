"""What a configuration costs, computed without building the network: parameters and floating-point work.

The MindFormers names and the shapes of all parameters are stated here once; a test compares them with a real network.
"""

from math import prod

from mindcode.config.model_schema import ModelConfig


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which the network holds them."""
    width = config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"model.tok_embeddings.embedding_weight": (config.vocab_size, width)}
    for layer in range(config.num_layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer_shapes(config).items()}
    shapes["model.norm_out.weight"] = (width,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, width)
    return shapes


def _layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    width, ffn = config.hidden_size, config.ffn_size
    q_width, kv_width = config.num_heads * config.head_dim, config.kv_heads * config.head_dim
    return {
        "attention_norm.weight": (width,),
        "attention.wq.weight": (q_width, width),
        "attention.wk.weight": (kv_width, width),
        "attention.wv.weight": (kv_width, width),
        "attention.wo.weight": (width, q_width),
        "ffn_norm.weight": (width,),
        "feed_forward.w1.weight": (ffn, width),
        "feed_forward.w2.weight": (width, ffn),
        "feed_forward.w3.weight": (ffn, width),
    }


def num_parameters(config: ModelConfig) -> int:
    """Return the number of weights; a tied head counts once."""
    return sum(prod(shape) for shape in parameter_shapes(config).values())


def layer_flops_per_token(config: ModelConfig, seq_length: int) -> float:
    """Return the multiply-adds of one token in one layer, two operations each, in rows of `seq_length` tokens.

    Matrix products count in full; attention counts the half of the score matrix that a causal model needs.
    """
    products = 2 * sum(prod(shape) for shape in _layer_shapes(config).values() if len(shape) == 2)
    return products + 2 * 2 * config.num_heads * config.head_dim * seq_length / 2


def head_flops_per_token(config: ModelConfig) -> float:
    """Return the same for the product with the head."""
    return 2 * config.vocab_size * config.hidden_size


def forward_flops_per_token(config: ModelConfig, seq_length: int) -> float:
    """Return the same for one token's forward pass."""
    return config.num_layers * layer_flops_per_token(config, seq_length) + head_flops_per_token(config)


def train_flops_per_token(config: ModelConfig, seq_length: int) -> float:
    """Return the work of forward and backward for one token: three times the forward pass."""
    return 3 * forward_flops_per_token(config, seq_length)
