"""The parameters of a Llama network: names and shapes, in the order of the network."""

from mindcode.checkpoint.names import EMBEDDING, HEAD, NORM
from mindcode.config.model_schema import ModelConfig

Shape = tuple[int, ...]


def parameter_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Shape of every parameter, embeddings first; a linear weight is [out, in]; a tied head is not listed."""
    width = config.hidden_size
    shapes: dict[str, Shape] = {EMBEDDING: (config.vocab_size, width)}
    for layer in range(config.num_layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer_shapes(config).items()}
    shapes[NORM] = (width,)
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, width)
    return shapes


def _layer_shapes(config: ModelConfig) -> dict[str, Shape]:
    width, ffn = config.hidden_size, config.ffn_size
    queries, keys = config.num_heads * config.head_dim, config.kv_heads * config.head_dim
    return {
        "attention_norm.weight": (width,),
        "attention.wq.weight": (queries, width),
        "attention.wk.weight": (keys, width),
        "attention.wv.weight": (keys, width),
        "attention.wo.weight": (width, queries),
        "ffn_norm.weight": (width,),
        "feed_forward.w1.weight": (ffn, width),
        "feed_forward.w2.weight": (width, ffn),
        "feed_forward.w3.weight": (ffn, width),
    }
