"""What a training step does differently when the model and the batch are split over processes.

    hooks = split_hooks(processes, parameters)

The loss of a step is the mean over replicas of the mean over their micro-batches of the mean over the tokens that
count. MindFormers computes one masked mean over the micro-batch of all replicas together: the same where replicas have
equally many tokens that count (always without padding and masked labels); elsewhere it weighs replicas by their tokens,
and this weighs them equally.
"""

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcode.parallel.collectives import Sum
from mindcode.parallel.gradients import Addition, GradientSums
from mindcode.parallel.plan import EMBEDDING, Role, rule_for
from mindcode.parallel.processes import Processes
from mindcode.runtime.distributed import GroupSum
from mindcode.training.step import Hooks, SumOfSquares


def split_hooks(processes: Processes, parameters: Sequence[Parameter]) -> Hooks:
    """Return what makes a step on this process a step of all; a single process needs nothing."""
    if processes.world.size == 1:
        return Hooks()
    return Hooks(
        reduce=GradientSums(_additions(processes, parameters), [tuple(p.shape) for p in parameters]),
        sum_squares=ModelSumOfSquares(processes, parameters),
        mean_loss=MeanLoss(processes),
    )


def _additions(processes: Processes, parameters: Sequence[Parameter]) -> list[Addition]:
    """Return which gradients are summed over which group, in order."""
    norms = [index for index, p in enumerate(parameters) if rule_for(p.name).role is Role.NORM]
    embedding = [index for index, p in enumerate(parameters) if p.name == EMBEDDING]
    additions = [Addition(processes.data, tuple(range(len(parameters))), 1.0 / processes.data.size)]
    if processes.ends.size > 1 and processes.plan.model.tie_word_embeddings:
        additions.insert(0, Addition(processes.ends, tuple(embedding)))
    if processes.sequence_parallel:  # each process saw other tokens
        additions.insert(0, Addition(processes.tensor, tuple(norms)))
    return additions


class ModelSumOfSquares(nn.Cell):
    """gradients -> the sum of squares over one copy of the model, in which every parameter counts once."""

    def __init__(self, processes: Processes, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.own = SumOfSquares()
        self.counted = tuple(index for index, p in enumerate(parameters) if _counts(processes, p.name))
        self.sum = Sum(processes.model) if processes.model.size > 1 else nn.Identity()

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        counted: tuple[Tensor, ...] = ()
        for index in self.counted:
            counted += (gradients[index],)
        # every process first finishes what it exchanges for the gradients, also for those that it does not count
        own = ops.depend(self.own(counted), gradients)
        return self.sum(own.reshape((1,)))[0]


def _counts(processes: Processes, name: str) -> bool:
    """Whether this process is the one among those that hold the same values that counts them."""
    first_stage = processes.plan.stages_of(name)[0] == processes.place.stage
    return first_stage and (rule_for(name).role.axis is not None or processes.place.part == 0)


class MeanLoss:
    """The loss of a process' own rows -> the mean over all replicas, on every process of every stage."""

    def __init__(self, processes: Processes) -> None:
        self._sum = GroupSum(processes.everyone)
        share = 1.0 / (processes.dims.data_parallel * processes.dims.model_parallel)
        self._share = share if processes.is_last_stage else 0.0

    def __call__(self, loss: float) -> float:
        """Return the mean loss; processes of other stages than the last may give any number."""
        own = loss * self._share if self._share else 0.0
        return float(self._sum(np.array([own], np.float32))[0])
