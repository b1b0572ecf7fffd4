"""Which keys a query may see: those not after it that are not padding. Made once for all layers."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

HIDDEN = {ms.float32: -1e9, ms.bfloat16: -1e9, ms.float16: -6e4}
"""Finite stand-ins for minus infinity: a row without any visible key gives equal weights, not NaN."""


class _HiddenKeys(nn.Cell):
    """input_ids [B, S] -> bool [B, 1, S, S], true where the key is later than the query or is padding."""

    def __init__(self, seq_length: int, pad_token_id: int) -> None:
        super().__init__()
        self.later = Tensor(np.triu(np.ones((seq_length, seq_length), np.bool_), k=1)[None, None])
        self.pad_token_id = pad_token_id
        self.equal = ops.Equal()
        self.reshape = ops.Reshape()
        self.logical_or = ops.LogicalOr()

    def construct(self, input_ids: Tensor) -> Tensor:
        batch, length = input_ids.shape
        padding_B11S = self.reshape(self.equal(input_ids, self.pad_token_id), (batch, 1, 1, length))
        return self.logical_or(self.later[:, :, :length, :length], padding_B11S)


class AdditiveMask(nn.Cell):
    """input_ids [B, S] -> [B, 1, S, S] of `dtype`: 0 where visible, a large negative number elsewhere."""

    def __init__(self, seq_length: int, pad_token_id: int, dtype: ms.Type) -> None:
        super().__init__()
        self.hidden_keys = _HiddenKeys(seq_length, pad_token_id)
        self.dtype, self.hidden = dtype, HIDDEN[dtype]
        self.cast, self.scale = ops.Cast(), ops.Mul()

    def construct(self, input_ids: Tensor) -> Tensor:
        return self.scale(self.cast(self.hidden_keys(input_ids), self.dtype), self.hidden)


class BinaryMask(nn.Cell):
    """input_ids [B, S] -> uint8 [B, 1, S, S]: 1 where hidden, as fused attention expects it."""

    def __init__(self, seq_length: int, pad_token_id: int, dtype: ms.Type) -> None:
        super().__init__()
        self.hidden_keys = _HiddenKeys(seq_length, pad_token_id)
        self.cast = ops.Cast()

    def construct(self, input_ids: Tensor) -> Tensor:
        return self.cast(self.hidden_keys(input_ids), ms.uint8)
