"""The decoder as cells: N lanes of C tokens each go through all layers, against the cache.

A lane is a piece of one row's text: its tokens, their positions, its row of the cache. Decoding is one token for every
row; prefill is a few dozen tokens for each of several lanes, which may be pieces of the same prompt, because every
layer stores the keys and values of all lanes before any lane attends. So one graph takes prompts of any length, and a
lane to spare repeats another one, which writes the same values again.

A process of several has some of the heads, of the feed-forward width and of the vocabulary; weights and cache have the
shapes of its blocks, and what the group adds up is whole again: the rows of the embedding, the output of attention and
of the feed-forward, the most likely id.

Letters in names: N lanes, C tokens of a lane, T = N·C, D hidden_size, H query heads, K key/value heads, G = H / K,
E head_dim, S length of the cache, V vocabulary; H, K and V are this process' own.
"""

from dataclasses import dataclass, fields
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.layout import DecoderWeights
from mindcode.generation.split_vocabulary import most_likely_over, rows_over
from mindcode.model.lean import LeanSwap
from mindcode.model.rope import rope_tables
from mindcode.runtime.distributed import Group, summed_over

MASKED = -1e9
"""Added to the score of a key that must not be seen."""


@dataclass(frozen=True)
class LayerParameters:
    """The weights of a layer on the device."""

    w_qkv: Parameter
    wo: Parameter
    w_gate_hidden: Parameter
    w2: Parameter


@dataclass(frozen=True)
class LayerCache:
    """Keys and values of a layer, each [B, K, S, E]."""

    keys: Parameter
    values: Parameter


@dataclass(frozen=True)
class DecoderParameters:
    """All weights on the device, shared by the graphs."""

    embedding: Parameter
    layers: tuple[LayerParameters, ...]
    head: tuple[Parameter, ...]


@dataclass(frozen=True)
class DecoderShare:
    """What one process has of the network and its cache, and the group that it adds up with."""

    parameters: DecoderParameters
    caches: tuple[LayerCache, ...]
    group: Group


def to_device(weights: DecoderWeights) -> DecoderParameters:
    """Make parameters of arrays."""
    layers = tuple(
        LayerParameters(
            *(_parameter(f"layers.{index}.{field.name}", getattr(layer, field.name)) for field in fields(layer))
        )
        for index, layer in enumerate(weights.layers)
    )
    head = tuple(_parameter(f"head.{index}", columns) for index, columns in enumerate(weights.head))
    return DecoderParameters(_parameter("embedding", weights.embedding), layers, head)


def refill(parameters: DecoderParameters, weights: DecoderWeights) -> None:
    """Put other arrays into the parameters; on the CPU an array of a parameter is its own memory."""
    for parameter, array in zip(_leaves(parameters), _leaves(weights), strict=True):
        parameter.asnumpy()[:] = array


def _leaves(tree: DecoderParameters | DecoderWeights) -> list[Any]:
    layers = [getattr(layer, field.name) for layer in tree.layers for field in fields(layer)]
    return [tree.embedding, *layers, *tree.head]


def _parameter(name: str, array: np.ndarray) -> Parameter:
    return Parameter(Tensor.from_numpy(array), name=name, requires_grad=False)


class Matrix(nn.Cell):
    """x [T, in] times a weight [in, out]."""

    def __init__(self, weight: Parameter) -> None:
        super().__init__()
        self.weight = weight
        self.matmul = ops.MatMul()

    def construct(self, x: Tensor) -> Tensor:
        return self.matmul(x, self.weight)


class RMSScale(nn.Cell):
    """x [T, D] divided by its root mean square (Zhang & Sennrich 2019); the weights are in the matrix behind it."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.square, self.mean, self.rsqrt = ops.Square(), ops.ReduceMean(keep_dims=True), ops.Rsqrt()

    def construct(self, x_TD: Tensor) -> Tensor:
        x = x_TD.astype(ms.float32)
        scaled = x * self.rsqrt(self.mean(self.square(x), -1) + self.eps)
        return scaled.astype(x_TD.dtype)


class RowAttention(nn.Cell):
    """One token of every row against that row's cache: q [B, H, E] -> [B, H·E]."""

    def __init__(self, dtype: ms.Type) -> None:
        super().__init__()
        self.dtype = dtype
        self.scores, self.mix = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()
        self.softmax = ops.Softmax(-1)
        self.store = ops.ScatterNdUpdate()

    def construct(
        self, q: Tensor, k: Tensor, v: Tensor, keys: Parameter, values: Parameter, plan: tuple[Tensor, ...]
    ) -> Tensor:
        place, mask = plan[0], plan[1]
        k_BKSE, v_BKSE = self.store(keys, place, k), self.store(values, place, v)
        q_BKGE = q.reshape(q.shape[0], k.shape[1], -1, q.shape[2])
        scores = self.scores(q_BKGE, k_BKSE).astype(ms.float32) + mask
        return self.mix(self.softmax(scores).astype(self.dtype), v_BKSE).reshape(q.shape[0], -1)


class LaneAttention(nn.Cell):
    """C tokens of each lane against the cache of the lane's row: q [T, H, E] -> [T, H·E]."""

    def __init__(self, dtype: ms.Type, lanes: int) -> None:
        super().__init__()
        self.dtype, self.lanes = dtype, lanes
        self.scores, self.mix = ops.BatchMatMul(transpose_b=True), ops.BatchMatMul()
        self.softmax, self.swap, self.gather = ops.Softmax(-1), LeanSwap(), ops.Gather()
        self.store = ops.ScatterNdUpdate()

    def construct(
        self, q: Tensor, k: Tensor, v: Tensor, keys: Parameter, values: Parameter, plan: tuple[Tensor, ...]
    ) -> Tensor:
        place, mask, rows = plan
        k_NKSE = self.gather(self.store(keys, place, k), rows, 0)
        v_NKSE = self.gather(self.store(values, place, v), rows, 0)
        _, heads, head_dim = q.shape
        kv_heads = k.shape[1]
        q_NHCE = self.swap(q.reshape(self.lanes, -1, heads, head_dim))
        count = q_NHCE.shape[2]
        scores = self.scores(q_NHCE.reshape(self.lanes, kv_heads, -1, head_dim), k_NKSE)
        scores = scores.reshape(self.lanes, heads, count, -1).astype(ms.float32) + mask
        weights = self.softmax(scores).astype(self.dtype).reshape(self.lanes, kv_heads, heads // kv_heads * count, -1)
        mixed = self.mix(weights, v_NKSE).reshape(self.lanes, heads, count, head_dim)
        return self.swap(mixed).reshape(self.lanes * count, -1)


class DecoderLayer(nn.Cell):
    """Attention and feed-forward on the residual stream x [T, D]."""

    def __init__(
        self, config: ModelConfig, weights: LayerParameters, attention: nn.Cell, cache: LayerCache, group: Group
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads = weights.wo.shape[0] // config.head_dim, cache.keys.shape[1]
        self.head_dim = config.head_dim
        self.attention_norm, self.ffn_norm = RMSScale(config.rms_norm_eps), RMSScale(config.rms_norm_eps)
        self.w_qkv, self.wo = Matrix(weights.w_qkv), Matrix(weights.wo)
        self.w_gate_hidden, self.w2 = Matrix(weights.w_gate_hidden), Matrix(weights.w2)
        self.attention = attention
        self.add_attention, self.add_feed_forward = summed_over(group), summed_over(group)
        self.keys, self.values = cache.keys, cache.values
        self.turn, self.split, self.sigmoid = ops.BatchMatMul(), ops.Split(-1, 2), ops.Sigmoid()

    def construct(self, x_TD: Tensor, turns_TEE: Tensor, plan: tuple[Tensor, ...]) -> Tensor:
        qkv = self.w_qkv(self.attention_norm(x_TD)).reshape(-1, self.heads + 2 * self.kv_heads, self.head_dim)
        turned = self.turn(qkv[:, : self.heads + self.kv_heads], turns_TEE)
        q, k, v = turned[:, : self.heads], turned[:, self.heads :], qkv[:, self.heads + self.kv_heads :]
        x_TD = x_TD + self.add_attention(self.wo(self.attention(q, k, v, self.keys, self.values, plan)))
        gate, hidden = self.split(self.w_gate_hidden(self.ffn_norm(x_TD)))
        return x_TD + self.add_feed_forward(self.w2(gate * self.sigmoid(gate) * hidden))


def turn_matrices(config: ModelConfig, length: int) -> np.ndarray:
    """Return [S, E, E] float32: a head x at position s, as a row, is turned by x · turns[s].

    One product instead of the seven small operations of the textbook form; at batch 32 they take longer than a layer's
    matrix products.
    """
    cos, sin = rope_tables(config, np.arange(length))
    half = config.head_dim // 2
    turns = np.zeros((length, config.head_dim, config.head_dim), np.float32)
    index = np.arange(half)
    turns[:, index, index], turns[:, index + half, index + half] = cos[:, :half], cos[:, half:]
    turns[:, index + half, index], turns[:, index, index + half] = -sin[:, :half], sin[:, half:]
    return turns


class Decoder(nn.Cell):
    """Embedding, layers and head; what the two graphs below share."""

    def __init__(self, config: ModelConfig, share: DecoderShare, attention: nn.Cell) -> None:
        super().__init__()
        parameters, caches, group = share.parameters, share.caches, share.group
        length = caches[0].keys.shape[2]
        self.turns = Tensor(turn_matrices(config, length), parameters.embedding.dtype)
        self.positions = Tensor(np.arange(length), ms.int32)
        self.embedding = parameters.embedding
        self.layers = nn.CellList(
            [
                DecoderLayer(config, weights, attention, cache, group)
                for weights, cache in zip(parameters.layers, caches, strict=True)
            ]
        )
        self.norm = RMSScale(config.rms_norm_eps)
        self.head = nn.CellList([Matrix(columns) for columns in parameters.head])
        rows = parameters.embedding.shape[0]
        self.look_up, self.most_likely = rows_over(group, rows), most_likely_over(group, rows)
        self.gather, self.join = ops.Gather(), ops.Concat(-1)
        self.seen, self.masked = Tensor(0.0, ms.float32), Tensor(MASKED, ms.float32)
        self.kv_heads = caches[0].keys.shape[1]

    def hidden(self, tokens: Tensor, positions: Tensor, plan: tuple[Tensor, ...]) -> Tensor:
        """tokens, positions [T] -> residual stream [T, D] behind the last layer."""
        turns_TEE = self.gather(self.turns, positions, 0)
        x_TD = self.look_up(self.embedding, tokens, 0)
        for layer in self.layers:
            x_TD = layer(x_TD, turns_TEE, plan)
        return x_TD

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Residual stream [N, D] -> most likely ids of all processes [N], and this one's logits [N, V]."""
        x = self.norm(x)
        parts: tuple[Tensor, ...] = ()
        for columns in self.head:
            parts += (columns(x),)
        logits = self.join(parts)
        return self.most_likely(logits), logits

    def places(self, rows: Tensor, positions: Tensor) -> Tensor:
        """Rows and positions [T] -> where their keys go in a cache, [T, K, 3]."""
        count = positions.shape[0]
        heads = ops.broadcast_to(self.positions[: self.kv_heads].reshape(1, -1), (count, self.kv_heads))
        rows = ops.broadcast_to(rows.reshape(-1, 1), (count, self.kv_heads))
        positions = ops.broadcast_to(positions.reshape(-1, 1), (count, self.kv_heads))
        return ops.stack((rows, heads, positions), -1)


class DecodeStep(Decoder):
    """One token for every row: tokens, positions [B] -> most likely next ids [B], logits [B, V]."""

    def __init__(self, config: ModelConfig, share: DecoderShare) -> None:
        super().__init__(config, share, RowAttention(share.parameters.embedding.dtype))
        rows, kv_heads, length, _ = share.caches[0].keys.shape
        self.rows = Tensor(np.arange(rows), ms.int32)
        self.mask_shape = (rows, kv_heads, config.num_heads // config.kv_heads, length)

    def construct(self, tokens: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        visible = self.positions.reshape(1, 1, 1, -1) <= positions.reshape(-1, 1, 1, 1)
        mask = ops.select(ops.broadcast_to(visible, self.mask_shape), self.seen, self.masked)
        return self.predict(self.hidden(tokens, positions, (self.places(self.rows, positions), mask)))


class PrefillStep(Decoder):
    """C tokens for each of N lanes: tokens [N, C], start [N], rows [N], last [N] -> ids [N], logits [N, V].

    A lane's tokens stand at positions start, start + 1, ...; `last` is the index in the lane whose successor is asked
    for. Tokens behind it may be anything: their keys are replaced before they are ever seen.
    """

    def __init__(self, config: ModelConfig, share: DecoderShare, lanes: int, lane_tokens: int) -> None:
        super().__init__(config, share, LaneAttention(share.parameters.embedding.dtype, lanes))
        self.lanes, self.lane_tokens = lanes, lane_tokens
        self.first = Tensor(np.arange(lanes) * lane_tokens, ms.int32)
        heads, length = config.num_heads // share.group.size, share.caches[0].keys.shape[2]
        self.mask_shape = (lanes, heads, lane_tokens, length)

    def construct(self, tokens: Tensor, start: Tensor, rows: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        positions_NC = start.reshape(-1, 1) + self.positions[: self.lane_tokens].reshape(1, -1)
        visible = self.positions.reshape(1, 1, 1, -1) <= positions_NC.reshape(self.lanes, 1, self.lane_tokens, 1)
        mask = ops.select(ops.broadcast_to(visible, self.mask_shape), self.seen, self.masked)
        rows_NC = ops.broadcast_to(rows.reshape(-1, 1), (self.lanes, self.lane_tokens))
        positions = positions_NC.reshape(-1)
        plan = (self.places(rows_NC.reshape(-1), positions), mask, rows)
        x_TD = self.hidden(tokens.reshape(-1), positions, plan)
        return self.predict(self.gather(x_TD, self.first + last, 0))
