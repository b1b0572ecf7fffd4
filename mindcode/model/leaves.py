"""The cells that own weight matrices: Linear and Embedding.

Shapes: T = tokens (batch x sequence), I/O = input/output width, V = vocabulary, D = width of the residual stream.
Every product is a primitive held as an attribute, so that it can be addressed by name from outside the model.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer


class Linear(nn.Cell):
    """y_TO = x_TI · W_OIᵀ; x is in `compute_dtype`, and so is y, whatever the weight's own format is."""

    def __init__(self, in_features: int, out_features: int, param_dtype: ms.Type, compute_dtype: ms.Type) -> None:
        super().__init__()
        self.weight = Parameter(initializer("zeros", (out_features, in_features), param_dtype), name="weight")
        self.compute_dtype = compute_dtype
        self.cast = ops.Cast()
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor) -> Tensor:
        return self.matmul(x, self.cast(self.weight, self.compute_dtype))


class TiedLinear(nn.Cell):
    """The output head of a model that reuses its embedding table: like Linear, with the weight as an argument."""

    def __init__(self, compute_dtype: ms.Type) -> None:
        super().__init__()
        self.compute_dtype = compute_dtype
        self.cast = ops.Cast()
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.matmul(x, self.cast(weight, self.compute_dtype))


class Embedding(nn.Cell):
    """ids [B, S] -> rows of the table, [T, D] in `compute_dtype`."""

    def __init__(self, vocab_size: int, width: int, param_dtype: ms.Type, compute_dtype: ms.Type) -> None:
        super().__init__()
        table = initializer("zeros", (vocab_size, width), param_dtype)
        self.embedding_weight = Parameter(table, name="embedding_weight")
        self.compute_dtype = compute_dtype
        self.gather = ops.Gather()
        self.reshape = ops.Reshape()
        self.cast_rows = ops.Cast()

    def construct(self, input_ids: Tensor) -> Tensor:
        rows = self.gather(self.embedding_weight, self.reshape(input_ids, (-1,)), 0)
        return self.cast_rows(rows, self.compute_dtype)
