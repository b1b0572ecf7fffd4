"""Checkpoint weights in the layout that decodes fastest.

A handful of rows times a matrix is fastest when the matrix is stored [in, out], and one wide product costs less than
several narrow ones; so weights are transposed, q·k·v and gate·up are joined (MindFormers calls them w_qkv and
w_gate_hidden), the weights of each RMSNorm are multiplied into the matrix behind it, and 1/sqrt(head_dim) into the
queries. All of it is exact up to one rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindcode.config.model_schema import ModelConfig
from mindcode.utils.errors import UserError

EMBEDDING, NORM_OUT, HEAD = "model.tok_embeddings.embedding_weight", "model.norm_out.weight", "lm_head.weight"

HEAD_COLUMNS = 4096
"""Columns of a piece of the head: in one wide matrix the rows lie far apart, and reading it takes 1.5 times as long."""


@dataclass(frozen=True)
class LayerWeights:
    """One layer; D is hidden_size, F the feed-forward width, Q and K the joint widths of query and key heads."""

    w_qkv: np.ndarray
    """[D, Q + 2K]"""
    wo: np.ndarray
    """[Q, D]"""
    w_gate_hidden: np.ndarray
    """[D, 2F]: gate, then up."""
    w2: np.ndarray
    """[F, D]"""


@dataclass(frozen=True)
class DecoderWeights:
    """The whole network."""

    embedding: np.ndarray
    """[V, D]"""
    layers: tuple[LayerWeights, ...]
    head: tuple[np.ndarray, ...]
    """[D, V], cut into pieces of HEAD_COLUMNS columns."""


def decoder_weights(config: ModelConfig, weights: Mapping[str, np.ndarray], dtype: type[np.floating]) -> DecoderWeights:
    """Rearrange weights by MindFormers' names, each [out, in], into `dtype`.

    Raises UserError for a missing weight, a wrong shape, or biases (the network has none).
    """
    biases = [name for name in weights if name.endswith(".bias")]
    if biases:
        raise UserError(f"checkpoint: parameter {biases[0]!r} is a bias, and this network has none; use another model")
    loader = _Loader(config, weights, dtype)
    layers = tuple(loader.layer(index) for index in range(config.num_layers))
    embedding = loader.take(EMBEDDING, (config.vocab_size, config.hidden_size))
    tied = config.tie_word_embeddings
    head = embedding if tied else loader.take(HEAD, (config.vocab_size, config.hidden_size))
    norm_out = loader.norm(NORM_OUT)
    pieces = tuple(
        loader.columns([head[start : start + HEAD_COLUMNS]], norm_out)
        for start in range(0, config.vocab_size, HEAD_COLUMNS)
    )
    return DecoderWeights(embedding.astype(dtype), layers, pieces)


class _Loader:
    def __init__(self, config: ModelConfig, weights: Mapping[str, np.ndarray], dtype: type[np.floating]) -> None:
        self.config, self.weights, self.dtype = config, weights, dtype

    def layer(self, index: int) -> LayerWeights:
        config, prefix = self.config, f"model.layers.{index}"
        width, ffn = config.hidden_size, config.ffn_size
        query, key = config.num_heads * config.head_dim, config.kv_heads * config.head_dim
        attention, feed_forward = f"{prefix}.attention", f"{prefix}.feed_forward"
        wq = self.take(f"{attention}.wq.weight", (query, width)) * np.float32(config.head_dim**-0.5)
        wk, wv = (self.take(f"{attention}.{name}.weight", (key, width)) for name in ("wk", "wv"))
        gate, up = (self.take(f"{feed_forward}.{name}.weight", (ffn, width)) for name in ("w1", "w3"))
        return LayerWeights(
            w_qkv=self.columns([wq, wk, wv], self.norm(f"{prefix}.attention_norm.weight")),
            wo=self.columns([self.take(f"{attention}.wo.weight", (width, query))]),
            w_gate_hidden=self.columns([gate, up], self.norm(f"{prefix}.ffn_norm.weight")),
            w2=self.columns([self.take(f"{feed_forward}.w2.weight", (width, ffn))]),
        )

    def norm(self, name: str) -> np.ndarray:
        return self.take(name, (self.config.hidden_size,))

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in self.weights:
            raise UserError(f"checkpoint: parameter {name!r} is missing; is it a checkpoint of this configuration?")
        array = self.weights[name]
        if array.shape != shape:
            raise UserError(
                f"checkpoint: parameter {name!r} is {list(array.shape)}, the configuration asks for {list(shape)}"
            )
        return array.astype(np.float32, copy=False)

    def columns(self, parts: list[np.ndarray], norm: np.ndarray | None = None) -> np.ndarray:
        """Join [out, in] matrices and return them [in, out], rows multiplied by `norm` [in]."""
        joined = np.concatenate(parts).T
        return np.ascontiguousarray(joined if norm is None else joined * norm[:, None], dtype=self.dtype)
