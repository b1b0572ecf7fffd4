"""Embedding and loss over a vocabulary of which every process holds a part."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcode.runtime.distributed import Group, Sum


class OwnTokens(nn.Cell):
    """ids [T] -> (their rows in this process' part of the vocabulary, 1 where it has them and 0 elsewhere), int32."""

    def __init__(self, rows: int, group: Group) -> None:
        super().__init__()
        self.first, self.rows = rows * group.index, rows
        self.shift, self.cast, self.mask = ops.Sub(), ops.Cast(), ops.Mul()
        self.not_below, self.below, self.both = ops.GreaterEqual(), ops.Less(), ops.LogicalAnd()

    def construct(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        shifted = self.shift(ids, self.first)
        own = self.cast(self.both(self.not_below(shifted, 0), self.below(shifted, self.rows)), ms.int32)
        return self.mask(shifted, own), own


class VocabParallelGather(nn.Cell):
    """In the place of Embedding's Gather: (part of the table [V/n, D], ids [T], axis 0) -> rows [T, D].

    Rows of other processes are zero before `leave` adds them up.
    """

    def __init__(self, rows: int, group: Group, leave: nn.Cell) -> None:
        super().__init__()
        self.own_tokens, self.leave = OwnTokens(rows, group), leave
        self.gather, self.reshape = ops.Gather(), ops.Reshape()
        self.cast, self.mask = ops.Cast(), ops.Mul()

    def construct(self, table: Tensor, ids: Tensor, axis: int) -> Tensor:
        rows, own = self.own_tokens(ids)
        found = self.gather(table, rows, axis)
        own_T1 = self.reshape(self.cast(own, found.dtype), (-1, 1))
        return self.leave(self.mask(found, ops.broadcast_to(own_T1, found.shape)))


class _LossAndLogSum(nn.Cell):
    """(logits [T, V/n], targets [T]) -> (-log softmax(z)[target] [T], log sum exp z [T]); no logits are exchanged.

    Three numbers a token are: the largest logit, so that exp does not overflow, then the sum of exp and the target's
    logit. The backward pass needs nothing from others: dz = (exp(z - log sum exp z) - one-hot) · dy.
    """

    def __init__(self, rows: int, group: Group) -> None:
        super().__init__()
        self.sum_over_group = Sum(group)
        self.slot = Tensor(np.eye(group.size, dtype=np.float32)[:, group.index : group.index + 1])
        self.first, self.rows = rows * group.index, rows
        self.max, self.row_sum = ops.ReduceMax(), ops.ReduceSum()
        self.sub, self.add, self.mul, self.exp, self.log = ops.Sub(), ops.Add(), ops.Mul(), ops.Exp(), ops.Log()
        self.reshape, self.outer, self.stack, self.one_hot = ops.Reshape(), ops.MatMul(), ops.Stack(), ops.OneHot()
        self.ones_like, self.zeros_like = ops.OnesLike(), ops.ZerosLike()
        self.on, self.off = Tensor(1.0, ms.float32), Tensor(0.0, ms.float32)

    def construct(self, logits_TV: Tensor, targets_T: Tensor) -> tuple[Tensor, Tensor]:
        own_max_1T = self.reshape(self.max(logits_TV, -1), (1, -1))
        max_T = self.max(self.sum_over_group(self.outer(self.slot, own_max_1T)), 0)
        centered_TV = self.sub(logits_TV, self._spread(max_T, logits_TV))
        own_sum_T = self.row_sum(self.exp(centered_TV), -1)
        own_target_T = self.row_sum(self.mul(centered_TV, self._targets(targets_T)), -1)
        sum_T, target_T = self.sum_over_group(self.stack((own_sum_T, own_target_T)))
        log_sum_T = self.log(sum_T)
        return self.sub(log_sum_T, target_T), self.add(log_sum_T, max_T)

    def bprop(
        self, logits_TV: Tensor, targets_T: Tensor, out: tuple[Tensor, Tensor], dout: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        softmax_TV = self.exp(self.sub(logits_TV, self._spread(out[1], logits_TV)))
        difference_TV = self.sub(softmax_TV, self._targets(targets_T))
        return self.mul(difference_TV, self._spread(dout[0], logits_TV)), self.zeros_like(targets_T)

    def _targets(self, targets_T: Tensor) -> Tensor:
        """One-hot rows; those of targets in other processes' parts are zero."""
        return self.one_hot(self.sub(targets_T, self.first), self.rows, self.on, self.off)

    def _spread(self, x_T: Tensor, like_TV: Tensor) -> Tensor:
        return self.outer(self.reshape(x_T, (-1, 1)), self.ones_like(like_TV[:1]))


class VocabParallelCrossEntropy(nn.Cell):
    """In the place of the loss cells of the model: this process' logits [T, V/n], targets [T] -> losses [T]."""

    def __init__(self, rows: int, group: Group) -> None:
        super().__init__()
        self.loss_and_log_sum = _LossAndLogSum(rows, group)

    def construct(self, logits_TV: Tensor, targets_T: Tensor) -> Tensor:
        return self.loss_and_log_sum(logits_TV, targets_T)[0]
