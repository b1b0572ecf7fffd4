"""What NPUs' kernels for a paged cache do, in elementary operations: so that all around them runs on a CPU."""

from dataclasses import replace
from functools import partial

from mindspore import Parameter, Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.paged_cells import PagedCore
from mindcode.model.dtypes import Dtypes
from mindcode.model.kernels import PLAIN, Kernels


class PlainStore(nn.Cell):
    """ReshapeAndCache."""

    def construct(self, k: Tensor, v: Tensor, keys: Parameter, values: Parameter, slots: Tensor) -> Tensor:
        _, size, heads, width = keys.shape
        place = ops.stack((slots // size, slots % size), -1)
        stored = ops.ScatterNdUpdate()(keys, place, k.reshape(-1, heads, width))
        return ops.depend(stored, ops.ScatterNdUpdate()(values, place, v.reshape(-1, heads, width)))


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
    """q [R, T, H, E], k, v [R, S, K, E], visible [R, T, S] -> [R, T, H * E]."""
    rows, tokens, heads, width = q.shape
    k, v = (ops.repeat_interleave(x, heads // x.shape[2], 2) for x in (k, v))
    scores = ops.matmul(q.transpose(0, 2, 1, 3), k.transpose(0, 2, 3, 1)) * width**-0.5
    weights = ops.softmax(ops.select(visible[:, None].broadcast_to(scores.shape), scores, ops.full_like(scores, -1e9)))
    return ops.matmul(weights, v.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3).reshape(rows, tokens, heads * width)


class PlainPrefill(nn.Cell):
    """FlashAttentionScore with sparse_mode 2: up to each token itself."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim

    def construct(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (x.reshape(1, x.shape[1], -1, self.head_dim) for x in (q, k, v))
        order = ops.arange(q.shape[1])
        return attend(q, k, v, (order[None, :] <= order[:, None])[None])


class PlainPaged(nn.Cell):
    """PagedAttention: the first `lengths` keys of each row, in the order of its blocks."""

    def construct(self, q: Tensor, keys: Parameter, values: Parameter, tables: Tensor, lengths: Tensor) -> Tensor:
        _, size, heads, width = keys.shape
        k, v = (ops.gather(pool, tables, 0).reshape(tables.shape[0], -1, heads, width) for pool in (keys, values))
        visible = ops.arange(tables.shape[1] * size)[None, None] < lengths[:, None, None]
        return attend(q.reshape(q.shape[0], 1, -1, width), k, v, visible)


class PlainPagedCore(PagedCore):
    """The core with these three in the place of the kernels."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes, parts: int) -> None:
        super().__init__(config, dtypes, parts)
        self.store, self.look_at_text, self.look_at_cache = PlainStore(), PlainPrefill(config.head_dim), PlainPaged()


def plain_paged_kernels(parts: int) -> Kernels:
    """The row of the table of kernels that makes the network of NPUs run here."""
    return replace(PLAIN, attention=partial(PlainPagedCore, parts=parts), swap=nn.Identity)
