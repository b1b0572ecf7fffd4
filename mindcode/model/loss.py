"""The training loss of a causal language model: masked cross entropy, the mean over the tokens that count."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.kernels import PLAIN, Kernels


class CausalLMLoss(nn.Cell):
    """(logits [B, S, V], input_ids [B, S], labels [B, S]) -> the mean loss in nats, a scalar fp32.

    Of a row of S + 1 tokens the model sees row[:-1] as input_ids and labels are the targets row[1:]; whoever feeds the
    model does that shift. A token counts if its input is not padding and its label is not `ignore_token_id`.
    Without any such token the loss is 0.
    """

    def __init__(self, config: ModelConfig, kernels: Kernels = PLAIN) -> None:
        super().__init__()
        self.pad_token_id, self.ignore_token_id = config.pad_token_id, config.ignore_token_id
        self.cast_logits, self.cast_tokens, self.reshape = ops.Cast(), ops.Cast(), ops.Reshape()
        self.not_padding, self.not_ignored = ops.NotEqual(), ops.NotEqual()
        self.blank, self.weigh, self.sum, self.count = ops.Mul(), ops.Mul(), ops.ReduceSum(), ops.ReduceSum()
        self.cross_entropy = kernels.cross_entropy(config.vocab_size)

    def construct(self, logits: Tensor, input_ids: Tensor, labels: Tensor) -> Tensor:
        logits_TV = self.cast_logits(self.reshape(logits, (-1, logits.shape[-1])), ms.float32)
        targets_T = self.reshape(labels, (-1,))
        seen_T = self.cast_tokens(self.not_padding(self.reshape(input_ids, (-1,)), self.pad_token_id), ms.float32)
        weights_T = self.weigh(seen_T, self.cast_tokens(self.not_ignored(targets_T, self.ignore_token_id), ms.float32))
        # an ignored label is no row of the vocabulary
        safe_T = self.blank(targets_T, self.cast_tokens(weights_T, ms.int32))
        losses_T = self.cross_entropy(logits_TV, safe_T)
        return self.sum(self.weigh(losses_T, weights_T)) / (self.count(weights_T) + 1e-8)
