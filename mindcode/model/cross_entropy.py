"""The loss of each token: -log softmax(z)[target], from logits z [T, V] in fp32 and targets [T]."""

import mindspore as ms
from mindspore import Tensor, nn, ops


class PlainCrossEntropy(nn.Cell):
    """log-sum-exp minus the target's logit, in operations that each work on a slice of the vocabulary.

    The target is picked with a one-hot product and not by LogSoftmax or an index, which would need whole rows: the full
    logits are never gathered when the vocabulary is split. A target outside the vocabulary counts as logit 0.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.max, self.center, self.exp = ops.ReduceMax(keep_dims=True), ops.Sub(), ops.Exp()
        self.sum, self.log = ops.ReduceSum(), ops.Log()
        self.one_hot, self.pick, self.pick_sum, self.subtract = ops.OneHot(), ops.Mul(), ops.ReduceSum(), ops.Sub()
        self.on, self.off = Tensor(1.0, ms.float32), Tensor(0.0, ms.float32)

    def construct(self, logits_TV: Tensor, targets_T: Tensor) -> Tensor:
        centered_TV = self.center(logits_TV, ops.stop_gradient(self.max(logits_TV, -1)))
        log_sum_T = self.log(self.sum(self.exp(centered_TV), -1))
        target_TV = self.one_hot(targets_T, self.vocab_size, self.on, self.off)
        return self.subtract(log_sum_T, self.pick_sum(self.pick(centered_TV, target_TV), -1))
