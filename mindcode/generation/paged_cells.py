"""Decoding on NPUs: the network that trains, with attention that keeps keys and values in a paged cache.

The layers see T single tokens, [T, 1, heads, head_dim], wherever they stand; so nothing is ever transposed. One cell is
both steps, and its arguments' shapes say which: a prefill is the T tokens of one text, a decode step one token of
each of B texts. Attention of the first looks at the text itself, of the second at the cache.
"""

from dataclasses import replace
from functools import partial

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer
from mindspore.ops.auto_generate import PagedAttention, ReshapeAndCache
from mindspore.ops.operations.nn_ops import FlashAttentionScore

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.split_vocabulary import most_likely_over
from mindcode.model.dtypes import Dtypes, dtypes_of
from mindcode.model.kernels import ASCEND, Kernels
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.rope import rope_tables
from mindcode.runtime.distributed import Group

CAUSAL_MASK = 2048
"""Side of the mask that fused attention wants for causal texts of any length."""
LEFT_UP_CAUSAL = 2
"""Its sparse_mode: a query sees the keys up to itself."""


class FusedPrefill(nn.Cell):
    """q [1, T, H·E], k, v [1, T, K·E] -> [1, T, H·E]: a text looks at itself, up to each token."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.flash = FlashAttentionScore(
            head_num=heads, scale_value=head_dim**-0.5, input_layout="BSH", sparse_mode=LEFT_UP_CAUSAL
        )

    def construct(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        return self.flash(q, k, v, None, None, None, mask, None, None, None)[3]


class PagedCore(nn.Cell):
    """In the place of attention's core: stores keys and values, then looks at the text or at the cache."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes, parts: int) -> None:
        super().__init__()
        heads, kv_heads, head_dim = config.num_heads // parts, config.kv_heads // parts, config.head_dim
        shape = (config.num_blocks, config.block_size, kv_heads, head_dim)
        self.keys = Parameter(initializer("zeros", shape, dtypes.compute), name="keys", requires_grad=False)
        self.values = Parameter(initializer("zeros", shape, dtypes.compute), name="values", requires_grad=False)
        self.store = ReshapeAndCache()
        self.look_at_text = FusedPrefill(heads, head_dim)
        self.look_at_cache = PagedAttention(heads, head_dim**-0.5, kv_heads)
        self.reshape = ops.Reshape()

    def construct(self, q_T1HE: Tensor, k_T1KE: Tensor, v_T1KE: Tensor, plan: tuple[Tensor, ...]) -> Tensor:
        slots, tables, lengths, mask = plan
        rows, tokens = tables.shape[0], q_T1HE.shape[0]
        shape = (rows, tokens // rows, -1)
        q, k, v = self.reshape(q_T1HE, shape), self.reshape(k_T1KE, shape), self.reshape(v_T1KE, shape)
        q = ops.depend(q, self.store(k, v, self.keys, self.values, slots))
        if tokens > rows:
            return self.look_at_text(q, k, v, mask)
        return self.look_at_cache(q, self.keys, self.values, tables, lengths)


def paged_kernels(parts: int) -> Kernels:
    """Return the cells of a network whose tokens stand alone and whose attention keeps a cache."""
    return replace(ASCEND, attention=partial(PagedCore, parts=parts), swap=nn.Identity)


class PagedStep(nn.Cell):
    """A prefill or a decode step: -> most likely next ids of all processes [N], own logits [N, V].

    tokens, positions, slots [T]; tables [R, M] and batch_valid_length [R] of the R rows that the tokens belong to, T/R
    tokens each; last [N]: the tokens whose successors are asked for. int32. The kernel of PagedAttention does not read
    the lengths from its own argument but from that of the graph with this very name, which stays on the host.
    """

    def __init__(self, config: ModelConfig, model: LlamaForCausalLM, longest: int, group: Group) -> None:
        super().__init__(auto_prefix=False)
        cos, sin = rope_tables(config, np.arange(longest))
        rotary = dtypes_of(config).rotary
        self.cos, self.sin = Tensor(cos[:, None, None], rotary), Tensor(sin[:, None, None], rotary)
        self.mask = Tensor(np.triu(np.ones((CAUSAL_MASK, CAUSAL_MASK), np.uint8), k=1))
        self.model = model
        self.gather = ops.Gather()
        self.most_likely = most_likely_over(group, config.vocab_size // group.size)

    def construct(
        self, tokens: Tensor, positions: Tensor, slots: Tensor, tables: Tensor, batch_valid_length: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor]:
        cos_T11E, sin_T11E = self.gather(self.cos, positions, 0), self.gather(self.sin, positions, 0)
        network, plan = self.model.model, (slots, tables, batch_valid_length, self.mask)
        x_TD = network.tok_embeddings(tokens)
        for layer in network.layers:
            x_TD = layer(x_TD, plan, cos_T11E, sin_T11E)
        logits = self.model.logits(network.norm_out(self.gather(x_TD, last, 0)), last).astype(ms.float32)
        return self.most_likely(logits), logits
