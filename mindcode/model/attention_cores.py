"""How queries look at keys and gather values: the part of attention for which devices have different kernels.

A core is a cell (q [B, N, S, H], k [B, K, S, H], v [B, K, S, H], mask) -> [B, N, S, H], in attention.py's letters.
"""

from mindspore import Tensor, nn, ops
from mindspore.ops.operations.nn_ops import FlashAttentionScore

from mindcode.config.model_schema import ModelConfig
from mindcode.model.dtypes import Dtypes


class PlainSwap(nn.Cell):
    """[A, B, C, D] -> [A, C, B, D]: tokens before heads to heads before tokens, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.transpose = ops.Transpose()

    def construct(self, x: Tensor) -> Tensor:
        return self.transpose(x, (0, 2, 1, 3))


class PlainAttention(nn.Cell):
    """softmax(q kᵀ / √H + mask) v in elementary operations; the mask is additive, [B, 1, S, S].

    The G queries that share a key are laid out as G·S rows, so keys and values are never repeated.
    """

    def __init__(self, config: ModelConfig, dtypes: Dtypes) -> None:
        super().__init__()
        self.group = config.num_heads // config.kv_heads
        self.scale = config.head_dim**-0.5
        self.softmax_dtype, self.compute_dtype = dtypes.softmax, dtypes.compute
        self.cast, self.reshape = ops.Cast(), ops.Reshape()
        self.scale_queries, self.add_mask = ops.Mul(), ops.Add()
        self.query_key = ops.BatchMatMul(transpose_b=True)
        self.softmax = ops.Softmax(axis=-1)
        self.weight_value = ops.BatchMatMul()

    def construct(self, q_BNSH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask_B1SS: Tensor) -> Tensor:
        batch, _, length, width = q_BNSH.shape
        grouped = (batch, -1, self.group * length)
        q_BKGH = self.reshape(self.scale_queries(q_BNSH, self.scale), (*grouped, width))
        scores = self.reshape(self.query_key(q_BKGH, k_BKSH), (batch, -1, length, length))
        weights = self.softmax(self.add_mask(self.cast(scores, self.softmax_dtype), mask_B1SS))
        weights = self.reshape(self.cast(weights, self.compute_dtype), (*grouped, length))
        return self.reshape(self.weight_value(weights, v_BKSH), (batch, -1, length, width))


class FlashAttention(nn.Cell):
    """One fused kernel that never stores the scores (Ascend); the mask is uint8, 1 where hidden."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes) -> None:
        super().__init__()
        self.flash = FlashAttentionScore(
            head_num=config.num_heads, scale_value=config.head_dim**-0.5, input_layout="BNSD", sparse_mode=0
        )

    def construct(self, q_BNSH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask_B1SS: Tensor) -> Tensor:
        return self.flash(q_BNSH, k_BKSH, v_BKSH, None, None, None, mask_B1SS, None, None, None)[3]
