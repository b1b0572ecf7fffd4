"""What a training step does differently when the model and the batch are split over processes.

    hooks = split_hooks(processes, parameters)

The loss of a step is the mean over its micro-batches of the mean over the tokens that count in them, as on one process
and in MindFormers: a micro-batch is what all replicas compute together. Each replica's own mean is therefore weighed by
its part of the tokens, a number that the processes agree on before the step, outside of the gradients.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcode.parallel.gradients import Addition, GradientSums, Take
from mindcode.parallel.plan import EMBEDDING, Role, rule_for
from mindcode.parallel.processes import Processes
from mindcode.runtime.distributed import GroupSum, summed_over
from mindcode.training.batches import counted_tokens
from mindcode.training.step import Hooks, MicroBatch, SumOfSquares


def split_hooks(processes: Processes, parameters: Sequence[Parameter]) -> Hooks:
    """Return what makes a step on this process a step of all; a single process needs nothing."""
    if processes.world.size == 1:
        return Hooks()
    return Hooks(
        reduce=GradientSums(_additions(processes, parameters), [tuple(p.shape) for p in parameters]),
        sum_squares=ModelSumOfSquares(processes, parameters),
        weights=TokenWeights(processes),
        mean_loss=MeanLoss(processes),
    )


def _additions(processes: Processes, parameters: Sequence[Parameter]) -> list[Addition]:
    """Return which gradients are summed over which group, in order."""
    norms = [index for index, p in enumerate(parameters) if rule_for(p.name).role is Role.NORM]
    embedding = [index for index, p in enumerate(parameters) if p.name == EMBEDDING]
    additions = [Addition(processes.data, tuple(range(len(parameters))))]
    if processes.ends.size > 1 and processes.plan.model.tie_word_embeddings:
        additions.insert(0, Addition(processes.ends, tuple(embedding)))
    if processes.sequence_parallel:  # each process saw other tokens
        additions.insert(0, Addition(processes.tensor, tuple(norms)))
    return [part for addition in additions for part in _by_dtype(addition, parameters)]


def _by_dtype(addition: Addition, parameters: Sequence[Parameter]) -> list[Addition]:
    """A message holds numbers of one format; in half precision, norms may keep fp32."""
    kinds = sorted({str(parameters[index].dtype) for index in addition.indices})
    chosen = {kind: tuple(i for i in addition.indices if str(parameters[i].dtype) == kind) for kind in kinds}
    return [replace(addition, indices=indices) for indices in chosen.values()]


class ModelSumOfSquares(nn.Cell):
    """gradients -> the sum of squares over one copy of the model, in which every parameter counts once."""

    def __init__(self, processes: Processes, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.own = SumOfSquares()
        self.counted = Take([index for index, p in enumerate(parameters) if _counts(processes, p.name)])
        self.sum = summed_over(processes.model)

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        # every process first finishes what it exchanges for the gradients, also for those that it does not count
        own = ops.depend(self.own(self.counted(gradients)), gradients)
        return self.sum(own.reshape((1,)))[0]


def _counts(processes: Processes, name: str) -> bool:
    """Whether this process is the one among those that hold the same values that counts them."""
    first_stage = processes.plan.stages_of(name)[0] == processes.place.stage
    return first_stage and (rule_for(name).role.axis is not None or processes.place.part == 0)


class TokenWeights:
    """A replica's micro-batches -> its tokens in each of them, divided by those of all replicas together."""

    def __init__(self, processes: Processes) -> None:
        self._sum, self._model = GroupSum(processes.data), processes.plan.model

    def __call__(self, batches: Sequence[MicroBatch]) -> list[float]:
        """Return the weights; 0 where no replica has a token that counts."""
        own = np.array([counted_tokens(batch, self._model) for batch in batches], np.float32)
        return [float(weight) for weight in own / np.maximum(self._sum(own), 1.0)]


class OverReplicas:
    """Numbers that the last stage of each replica has -> their sums over the replicas, on every process."""

    def __init__(self, processes: Processes) -> None:
        self._sum = GroupSum(processes.everyone)
        self._share = 1.0 / processes.dims.model_parallel if processes.is_last_stage else 0.0

    def __call__(self, own: np.ndarray) -> np.ndarray:
        """Return the sums; processes of other stages than the last may give any numbers."""
        return self._sum(own * self._share if self._share else np.zeros_like(own))


class MeanLoss:
    """The weighted loss of a process' own rows -> the mean over all rows, on every process of every stage."""

    def __init__(self, processes: Processes) -> None:
        self._over_replicas = OverReplicas(processes)

    def __call__(self, loss: float) -> float:
        """Return the mean loss; processes of other stages than the last may give any number."""
        return float(self._over_replicas(np.array([loss]))[0])
