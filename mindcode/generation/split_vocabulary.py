"""Reading and choosing tokens when every process has a part of the vocabulary.

Few numbers are exchanged: for each token one row of the embedding, and one score and id of each process. All logits are
joined only when somebody wants to draw from them.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcode.parallel.collectives import Gather
from mindcode.parallel.vocabulary import VocabParallelGather
from mindcode.runtime.distributed import Group, summed_over


def rows_over(group: Group, rows: int) -> nn.Cell | ops.Primitive:
    """Return (own `rows` of the table [V, D], ids [T], axis 0) -> [T, D]; a process alone has all of the table."""
    return VocabParallelGather(rows, group, summed_over(group)) if group.size > 1 else ops.Gather()


def most_likely_over(group: Group, rows: int) -> nn.Cell | ops.Primitive:
    """Return own logits [N, V] -> the most likely ids of all processes [N]; of equal ones the smallest."""
    return MostLikely(group, rows) if group.size > 1 else ops.Argmax(-1, ms.int32)


class MostLikely(nn.Cell):
    """Every process names its best id and that one's logit, the best of these wins: [N, V] -> [N]."""

    def __init__(self, group: Group, rows: int) -> None:
        super().__init__()
        self.first = rows * group.index
        self.argmax, self.max = ops.Argmax(-1, ms.int32), ops.ReduceMax()
        self.gather, self.winner, self.take = Gather(group), ops.Argmax(0, ms.int32), ops.GatherD()

    def construct(self, logits_NV: Tensor) -> Tensor:
        score_N = self.max(logits_NV, -1).astype(ms.float32)
        id_N = (self.argmax(logits_NV) + self.first).astype(ms.float32)  # exact up to 16 million
        everyones = self.gather(ops.stack((score_N, id_N)).reshape(1, 2, -1))
        winner_1N = self.winner(everyones[:, 0]).reshape(1, -1)
        return self.take(everyones[:, 1], 0, winner_1N).reshape(-1).astype(ms.int32)


class JoinedLogits(nn.Cell):
    """Own logits [N, V] -> those of all processes, side by side."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.gather, self.transpose = Gather(group), ops.Transpose()

    def construct(self, logits_NV: Tensor) -> Tensor:
        count = logits_NV.shape[0]
        everyones = self.gather(logits_NV.reshape(1, count, -1))
        return self.transpose(everyones, (1, 0, 2)).reshape(count, -1)
