"""Checkpoint weights in the layout that decodes fastest.

A handful of rows times a matrix is fastest when the matrix is stored [in, out], and one wide product costs less than
several narrow ones; so weights are transposed, q·k·v and gate·up are joined (MindFormers calls them w_qkv and
w_gate_hidden), the weights of each RMSNorm are multiplied into the matrix behind it, and 1/sqrt(head_dim) into the
queries. All of it is exact up to one rounding. A process of several lays out the blocks that the plan gives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindcode.model.stats import parameter_shapes
from mindcode.parallel.plan import Plan
from mindcode.utils.errors import UserError

EMBEDDING, NORM_OUT, HEAD = "model.tok_embeddings.embedding_weight", "model.norm_out.weight", "lm_head.weight"

HEAD_COLUMNS = 4096
"""Columns of a piece of the head: in one wide matrix the rows lie far apart, and reading it takes 1.5 times as long."""


@dataclass(frozen=True)
class LayerWeights:
    """One layer; D is hidden_size; of F, the feed-forward width, and of Q and K, the joint widths of query and key
    heads, a process has its part."""

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


def decoder_weights(plan: Plan, weights: Mapping[str, np.ndarray], dtype: type[np.floating]) -> DecoderWeights:
    """Rearrange this process' blocks of the weights, by MindFormers' names, each [out, in], into `dtype`.

    Raises UserError for a missing weight, a wrong shape, or biases (the network has none).
    """
    biases = [name for name in weights if name.endswith(".bias")]
    if biases:
        raise UserError(f"checkpoint: parameter {biases[0]!r} is a bias, and this network has none; use another model")
    loader = _Loader(plan, weights, dtype)
    layers = tuple(loader.layer(index) for index in range(plan.model.num_layers))
    embedding = loader.take(EMBEDDING)
    head = embedding if plan.model.tie_word_embeddings else loader.take(HEAD)
    norm_out = loader.take(NORM_OUT)
    pieces = tuple(
        loader.columns([head[start : start + HEAD_COLUMNS]], norm_out) for start in range(0, len(head), HEAD_COLUMNS)
    )
    return DecoderWeights(embedding.astype(dtype), layers, pieces)


class _Loader:
    def __init__(self, plan: Plan, weights: Mapping[str, np.ndarray], dtype: type[np.floating]) -> None:
        self.weights, self.dtype = weights, dtype
        self.scale = np.float32(plan.model.head_dim**-0.5)
        self.shapes = {name: plan.local_shape(name, shape) for name, shape in parameter_shapes(plan.model).items()}

    def layer(self, index: int) -> LayerWeights:
        prefix = f"model.layers.{index}"
        wq, wk, wv, wo = (self.take(f"{prefix}.attention.{name}.weight") for name in ("wq", "wk", "wv", "wo"))
        gate, down, up = (self.take(f"{prefix}.feed_forward.{name}.weight") for name in ("w1", "w2", "w3"))
        return LayerWeights(
            w_qkv=self.columns([wq * self.scale, wk, wv], self.take(f"{prefix}.attention_norm.weight")),
            wo=self.columns([wo]),
            w_gate_hidden=self.columns([gate, up], self.take(f"{prefix}.ffn_norm.weight")),
            w2=self.columns([down]),
        )

    def take(self, name: str) -> np.ndarray:
        if name not in self.weights:
            raise UserError(f"checkpoint: parameter {name!r} is missing; is it a checkpoint of this configuration?")
        array, shape = self.weights[name], self.shapes[name]
        if array.shape != shape:
            raise UserError(
                f"checkpoint: parameter {name!r} is {list(array.shape)}, the configuration asks for {list(shape)}"
            )
        return array.astype(np.float32, copy=False)

    def columns(self, parts: list[np.ndarray], norm: np.ndarray | None = None) -> np.ndarray:
        """Join [out, in] matrices and return them [in, out], rows multiplied by `norm` [in]."""
        joined = np.concatenate(parts).T
        return np.ascontiguousarray(joined if norm is None else joined * norm[:, None], dtype=self.dtype)
