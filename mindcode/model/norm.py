"""RMSNorm (Zhang & Sennrich 2019): x / sqrt(mean(x²) + eps) · w, over the last axis."""

from collections.abc import Callable

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer


class PlainNorm(nn.Cell):
    """The formula in elementary operations, for every device."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.square = ops.Square()
        self.mean = ops.ReduceMean(keep_dims=True)
        self.add = ops.Add()
        self.rsqrt = ops.Rsqrt()
        self.normalize = ops.Mul()
        self.scale = ops.Mul()

    def construct(self, x_TD: Tensor, weight_D: Tensor) -> Tensor:
        inverse_T1 = self.rsqrt(self.add(self.mean(self.square(x_TD), -1), self.eps))
        return self.scale(self.normalize(x_TD, inverse_T1), weight_D)


class FusedNorm(nn.Cell):
    """The same in one kernel (Ascend)."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.rms_norm = ops.RmsNorm(eps)

    def construct(self, x_TD: Tensor, weight_D: Tensor) -> Tensor:
        return self.rms_norm(x_TD, weight_D)[0]


class RMSNorm(nn.Cell):
    """Normalises in `norm_dtype`, which is also the weight's format, and returns `compute_dtype`."""

    def __init__(
        self, width: int, norm_dtype: ms.Type, compute_dtype: ms.Type, eps: float, core: Callable[[float], nn.Cell]
    ) -> None:
        super().__init__()
        self.weight = Parameter(initializer("ones", (width,), norm_dtype), name="weight")
        self.norm_dtype = norm_dtype
        self.compute_dtype = compute_dtype
        self.cast, self.cast_back = ops.Cast(), ops.Cast()
        self.norm = core(eps)

    def construct(self, x_TD: Tensor) -> Tensor:
        return self.cast_back(self.norm(self.cast(x_TD, self.norm_dtype), self.weight), self.compute_dtype)
