"""Llama (Touvron et al. 2023) and Code Llama (Rozière et al. 2023), as one program for one device.

    model = LlamaForCausalLM(config)
    logits = model(Tensor([[1, 15043]], mindspore.int32))

Weights are zeros (norms: ones) until a checkpoint is loaded or init.initialize() fills them. Parameters have the
names of MindFormers. Embedding, layers, last norm and head are cells of their own.
"""

import numpy as np
from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.attention import Attention
from mindcode.model.dtypes import Dtypes, dtypes_of
from mindcode.model.feed_forward import FeedForward
from mindcode.model.kernels import PLAIN, Kernels
from mindcode.model.leaves import Embedding, Linear, TiedLinear
from mindcode.model.norm import RMSNorm
from mindcode.model.rope import rope_tables


class LlamaLayer(nn.Cell):
    """One layer: attention, then feed-forward, each on the normalised residual stream x [T, D] and added to it."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes, kernels: Kernels) -> None:
        super().__init__()
        self.attention_norm = _norm(config, dtypes, kernels)
        self.attention = Attention(config, dtypes, kernels)
        self.add_attention = ops.Add()
        self.ffn_norm = _norm(config, dtypes, kernels)
        self.feed_forward = FeedForward(config, dtypes)
        self.add_feed_forward = ops.Add()

    def construct(self, x_TD: Tensor, mask: Tensor, cos_11SH: Tensor, sin_11SH: Tensor) -> Tensor:
        x_TD = self.add_attention(x_TD, self.attention(self.attention_norm(x_TD), mask, cos_11SH, sin_11SH))
        return self.add_feed_forward(x_TD, self.feed_forward(self.ffn_norm(x_TD)))


class LlamaModel(nn.Cell):
    """input_ids [B, S] -> normalised hidden states [T, D]; S is at most `seq_length`."""

    def __init__(self, config: ModelConfig, kernels: Kernels = PLAIN) -> None:
        super().__init__()
        dtypes = dtypes_of(config)
        self.tok_embeddings = Embedding(config.vocab_size, config.hidden_size, dtypes.embedding, dtypes.compute)
        self.layers = nn.CellList([LlamaLayer(config, dtypes, kernels) for _ in range(config.num_layers)])
        self.norm_out = _norm(config, dtypes, kernels)
        self.mask = kernels.mask(config.seq_length, config.pad_token_id, dtypes.softmax)
        cos, sin = rope_tables(config, np.arange(config.seq_length))
        self.cos = Tensor(cos[None, None], dtypes.rotary)
        self.sin = Tensor(sin[None, None], dtypes.rotary)

    def construct(self, input_ids: Tensor) -> Tensor:
        return self.norm_out(self.through_layers(self.tok_embeddings(input_ids), input_ids))

    def through_layers(self, x_TD: Tensor, input_ids: Tensor) -> Tensor:
        """Return the residual stream behind the layers that the model has; the ids say what is padding."""
        length = input_ids.shape[1]
        mask = self.mask(input_ids)
        cos_11SH, sin_11SH = self.cos[:, :, :length], self.sin[:, :, :length]
        for layer in self.layers:
            x_TD = layer(x_TD, mask, cos_11SH, sin_11SH)
        return x_TD


class LlamaForCausalLM(nn.Cell):
    """input_ids [B, S] int32 -> logits [B, S, V] in `compute_dtype`; position s predicts token s + 1."""

    def __init__(self, config: ModelConfig, kernels: Kernels = PLAIN) -> None:
        super().__init__()
        dtypes = dtypes_of(config)
        self.tied = config.tie_word_embeddings
        self.reshape = ops.Reshape()
        self.model = LlamaModel(config, kernels)
        self.lm_head = (
            TiedLinear(dtypes.compute)
            if self.tied
            else Linear(config.hidden_size, config.vocab_size, dtypes.param, dtypes.compute)
        )

    def construct(self, input_ids: Tensor) -> Tensor:
        return self.logits(self.model(input_ids), input_ids)

    def logits(self, x_TD: Tensor, input_ids: Tensor) -> Tensor:
        """Return the logits [B, S, V] of normalised hidden states."""
        table = self.model.tok_embeddings.embedding_weight
        logits_TV = self.lm_head(x_TD, table) if self.tied else self.lm_head(x_TD)
        return self.reshape(logits_TV, (*input_ids.shape, -1))


def _norm(config: ModelConfig, dtypes: Dtypes, kernels: Kernels) -> RMSNorm:
    return RMSNorm(config.hidden_size, dtypes.norm, dtypes.compute, config.rms_norm_eps, kernels.norm)
