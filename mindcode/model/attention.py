"""Grouped-query attention (Ainslie et al. 2023).

Shapes: B = batch, S = sequence, T = B·S tokens, D = residual width, N = query heads, K = key/value heads,
G = N / K queries that share a key, H = head width. N and K are always -1 in a reshape: a layer may hold a part of them.
"""

from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.dtypes import Dtypes
from mindcode.model.kernels import Kernels
from mindcode.model.leaves import Linear


class Attention(nn.Cell):
    """x [T, D] -> [T, D]; projections, rotation, the core that mixes tokens, output projection."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes, kernels: Kernels) -> None:
        super().__init__()
        width, kv_width = config.hidden_size, config.kv_heads * config.head_dim
        self.wq = Linear(width, config.num_heads * config.head_dim, dtypes.param, dtypes.compute)
        self.wk = Linear(width, kv_width, dtypes.param, dtypes.compute)
        self.wv = Linear(width, kv_width, dtypes.param, dtypes.compute)
        self.wo = Linear(config.num_heads * config.head_dim, width, dtypes.param, dtypes.compute)
        self.rope_q, self.rope_k = kernels.rope(), kernels.rope()
        self.head_dim = config.head_dim
        self.compute_dtype, self.rotary_dtype = dtypes.compute, dtypes.rotary
        self.cast = ops.Cast()
        self.reshape = ops.Reshape()
        self.split_heads = kernels.swap()
        self.merge_heads = kernels.swap()
        self.core = kernels.attention(config, dtypes)

    def construct(self, x_TD: Tensor, mask: Tensor, cos_11SH: Tensor, sin_11SH: Tensor) -> Tensor:
        length = cos_11SH.shape[2]
        batch = x_TD.shape[0] // length
        q_BNSH = self._rotate(self.rope_q, self._heads(self.wq(x_TD), batch, length), cos_11SH, sin_11SH)
        k_BKSH = self._rotate(self.rope_k, self._heads(self.wk(x_TD), batch, length), cos_11SH, sin_11SH)
        v_BKSH = self._heads(self.wv(x_TD), batch, length)
        mixed_BSNH = self.merge_heads(self.core(q_BNSH, k_BKSH, v_BKSH, mask))
        return self.wo(self.reshape(mixed_BSNH, (batch * length, -1)))

    def _heads(self, x_TW: Tensor, batch: int, length: int) -> Tensor:
        return self.split_heads(self.reshape(x_TW, (batch, length, -1, self.head_dim)))

    def _rotate(self, rope: nn.Cell, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return self.cast(rope(self.cast(x, self.rotary_dtype), cos, sin), self.compute_dtype)
