"""Attention, loss, norm and rotation for CPUs, which have no fused kernels for them.

They compute what the plain cells do with fewer passes over memory. Four things matter on a CPU:
- a reduction over the last axis is some fifteen times faster on a matrix than on a tensor of four axes;
- automatic differentiation of softmax and of the loss reads and writes the largest tensors several times more than
  necessary: their backward passes are written by hand;
- a kernel that adds or multiplies operands of different shapes keeps a copy of both, spread to the larger shape, for as
  long as the graph lives, and is up to ten times slower: operands are spread before, and the compiler sees that the
  layers share the spread mask and rotary tables. A column is spread fastest by its product with a row of ones;
- a graph with Transpose in it gives memory back only at its end: axes are exchanged by taking a tensor apart and
  stacking its parts, which is faster, too.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.dtypes import Dtypes
from mindcode.model.rope import Rope


class _AttentionWithWeights(nn.Cell):
    """(q, k, v, mask) -> (mixed values [B, N, S, H], softmax weights [B, K, G·S, S], kept for the backward pass).

    Backward, with weights P, output O and dX the gradient of X:
    dV = Pᵀ dO, dS = P ∘ (dO Vᵀ - rowsum(O ∘ dO)), dQ = dS K, dK = dSᵀ Q.
    The row sum over H replaces softmax's own row sum over all S keys (Dao et al. 2022, FlashAttention).
    """

    def __init__(self, config: ModelConfig, dtypes: Dtypes) -> None:
        super().__init__()
        self.group = config.num_heads // config.kv_heads
        self.scale = config.head_dim**-0.5
        self.softmax_dtype, self.compute_dtype = dtypes.softmax, dtypes.compute
        self.cast, self.reshape, self.concat = ops.Cast(), ops.Reshape(), ops.Concat(axis=-1)
        self.zeros_like, self.ones_like = ops.ZerosLike(), ops.OnesLike()
        self.mul, self.add, self.neg, self.sum = ops.Mul(), ops.Add(), ops.Neg(), ops.ReduceSum(keep_dims=True)
        self.softmax = ops.Softmax(axis=-1)
        self.product = ops.BatchMatMul()
        self.product_transposed_a = ops.BatchMatMul(transpose_a=True)
        self.product_transposed_b = ops.BatchMatMul(transpose_b=True)

    def construct(self, q_BNSH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask_B1SS: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, length, _ = q_BNSH.shape
        scores_BKGS = self.product_transposed_b(self._grouped(self.mul(q_BNSH, self.scale)), k_BKSH)
        scores_BNSS = self.cast(self.reshape(scores_BKGS, (batch, -1, length, length)), self.softmax_dtype)
        mask_BNSS = ops.broadcast_to(mask_B1SS, scores_BNSS.shape)
        rows = self.reshape(self.add(scores_BNSS, mask_BNSS), (-1, length))
        weights_BKGS = self.reshape(self.cast(self.softmax(rows), self.compute_dtype), scores_BKGS.shape)
        return self.reshape(self.product(weights_BKGS, v_BKSH), q_BNSH.shape), weights_BKGS

    def bprop(
        self,
        q_BNSH: Tensor,
        k_BKSH: Tensor,
        v_BKSH: Tensor,
        mask_B1SS: Tensor,
        out: tuple[Tensor, Tensor],
        dout: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mixed_BNSH, weights_BKGS = out
        d_mixed_BKGH = self._grouped(dout[0])
        row_sums_BKG1 = self._row_sums(mixed_BNSH, dout[0], weights_BKGS)
        # one more column subtracts the row sums within the product dO Vᵀ
        d_mixed_and_sums = self.concat((d_mixed_BKGH, self.neg(row_sums_BKG1)))
        v_and_ones = self.concat((v_BKSH, self.ones_like(v_BKSH[..., :1])))
        d_scores = self.mul(weights_BKGS, self.product_transposed_b(d_mixed_and_sums, v_and_ones))
        d_q = self.mul(self.reshape(self.product(d_scores, k_BKSH), q_BNSH.shape), self.scale)
        d_k = self.product_transposed_a(d_scores, self._grouped(self.mul(q_BNSH, self.scale)))
        d_v = self.product_transposed_a(weights_BKGS, d_mixed_BKGH)
        return d_q, d_k, d_v, self.zeros_like(mask_B1SS)

    def _grouped(self, x_BNSH: Tensor) -> Tensor:
        batch, _, length, width = x_BNSH.shape
        return self.reshape(x_BNSH, (batch, -1, self.group * length, width))

    def _row_sums(self, mixed: Tensor, d_mixed: Tensor, weights_BKGS: Tensor) -> Tensor:
        rows = self.reshape(self.cast(self.mul(mixed, d_mixed), ms.float32), (-1, mixed.shape[-1]))
        sums = self.cast(self.sum(rows, -1), self.compute_dtype)
        return self.reshape(sums, (*weights_BKGS.shape[:-1], 1))


class LeanSwap(nn.Cell):
    """[A, B, C, D] -> [A, C, B, D], through as many parts as the shorter of B and C."""

    def construct(self, x: Tensor) -> Tensor:
        _, left, right, _ = x.shape
        if left < right:
            return ops.Stack(2)(ops.Unstack(1, left)(x))
        return ops.Stack(1)(ops.Unstack(2, right)(x))


class LeanAttention(nn.Cell):
    """softmax(q kᵀ / √H + mask) v, see attention_cores.py; the weights are kept for the backward pass."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes) -> None:
        super().__init__()
        self.mix = _AttentionWithWeights(config, dtypes)

    def construct(self, q_BNSH: Tensor, k_BKSH: Tensor, v_BKSH: Tensor, mask_B1SS: Tensor) -> Tensor:
        return self.mix(q_BNSH, k_BKSH, v_BKSH, mask_B1SS)[0]


class LeanNorm(nn.Cell):
    """x [T, D], weight [D] -> x / sqrt(mean(x²) + eps) · weight."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.square, self.mean, self.add = ops.Square(), ops.ReduceMean(keep_dims=True), ops.Add()
        self.rsqrt, self.normalize, self.scale = ops.Rsqrt(), ops.Mul(), ops.Mul()
        self.ones_like, self.reshape, self.outer = ops.OnesLike(), ops.Reshape(), ops.MatMul()

    def construct(self, x_TD: Tensor, weight_D: Tensor) -> Tensor:
        inverse_T1 = self.rsqrt(self.add(self.mean(self.square(x_TD), -1), self.eps))
        ones_1D = self.reshape(self.ones_like(weight_D), (1, -1))
        normal_TD = self.normalize(x_TD, self.outer(inverse_T1, ones_1D))
        return self.scale(normal_TD, ops.broadcast_to(weight_D, x_TD.shape))


class LeanRope(nn.Cell):
    """Rope, with its tables spread over batch and heads."""

    def __init__(self) -> None:
        super().__init__()
        self.rope = Rope()

    def construct(self, x_BNSH: Tensor, cos_11SH: Tensor, sin_11SH: Tensor) -> Tensor:
        shape = x_BNSH.shape
        return self.rope(x_BNSH, ops.broadcast_to(cos_11SH, shape), ops.broadcast_to(sin_11SH, shape))


class LeanCrossEntropy(nn.Cell):
    """-log softmax(z)[target] of logits z [T, V], targets [T]; the gradient (softmax - one-hot) · dy in two passes."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.log_softmax = ops.LogSoftmax(axis=-1)
        self.pick = ops.GatherD()
        self.reshape, self.mul, self.neg = ops.Reshape(), ops.Mul(), ops.Neg()
        self.mean_gradient = ops.SparseSoftmaxCrossEntropyWithLogits(is_grad=True)
        self.zeros_like, self.ones_like, self.outer = ops.ZerosLike(), ops.OnesLike(), ops.MatMul()

    def construct(self, logits_TV: Tensor, targets_T: Tensor) -> Tensor:
        picked_T1 = self.pick(self.log_softmax(logits_TV), 1, self.reshape(targets_T, (-1, 1)))
        return self.neg(self.reshape(picked_T1, (-1,)))

    def bprop(self, logits_TV: Tensor, targets_T: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        tokens = logits_TV.shape[0]
        scale_T1 = self.reshape(self.mul(dout, float(tokens)), (-1, 1))
        scale_TV = self.outer(scale_T1, self.ones_like(logits_TV[:1]))
        return self.mul(self.mean_gradient(logits_TV, targets_T), scale_TV), self.zeros_like(targets_T)
