"""How fast the processes of a run multiply matrices, all at the same time: a yardstick where no data sheet has one.

measured_flops(everyone, ms.float32)
"""

import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcode.runtime.distributed import Group, GroupSum

SIZE, SECONDS, ROUNDS = 1536, 0.15, 3


class _Product(nn.Cell):
    """(x, weight) -> one number of x · weightᵀ, the fastest product of a CPU; little to copy to the host."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.matmul, self.slice = ops.MatMul(transpose_b=True), ops.Slice()

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.slice(self.matmul(x, weight), (0, 0), (1, 1))


def measured_flops(everyone: Group, dtype: ms.Type) -> float:
    """Return floating-point operations per second, the mean over all processes, in the best of a few short rounds.

    All processes call it, and work in the same fraction of a second: what they share, they share here too.
    """
    product, total = _Product(), GroupSum(everyone)
    matrix = Tensor(np.ones((SIZE, SIZE), np.float32), dtype)
    product(matrix, matrix).asnumpy()
    total.barrier()
    speeds = [total(np.array([_speed(product, matrix)])) for _ in range(ROUNDS)]
    return float(max(speed[0] for speed in speeds)) / everyone.size


def _speed(product: nn.Cell, matrix: Tensor) -> float:
    started, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < SECONDS:
        product(matrix, matrix).asnumpy()
        done += 1
    return done * 2 * SIZE**3 / seconds
