"""One optimizer step as graphs: forward, backward, global norm, clipping, loss scale, update.

    step = build_step(model_and_loss, optimizer, micro_batches=1, max_grad_norm=1.0)
    result = step(batches, loss_scale=1.0, scalars=step_scalars(...))

With one micro-batch the whole step is one graph and no gradient outlives it. With several, the first graph adds the
gradients of a micro-batch to fp32 buffers and the second one applies their mean. Parallel training comes from outside
as values: `Hooks.reduce` sees the gradients of every step once, `Hooks.sum_squares` makes the square of their norm,
`Hooks.weights` says how much a process' own part of a micro-batch counts, and `Hooks.mean_loss` what is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcode.training.optim import Scalars
from mindcode.training.sharded_optim import Optimizer

ACCUMULATED = "accumulated"


class MicroBatch(NamedTuple):
    """input_ids [B, S] and labels [B, S], int32; labels are already shifted by one token."""

    input_ids: np.ndarray
    labels: np.ndarray


class StepResult(NamedTuple):
    """What one optimizer step reports."""

    loss: float
    """Mean over the micro-batches of their mean loss, in nats."""
    global_norm: float
    """Of the mean gradient, without loss scale, before clipping."""
    overflow: bool
    """The norm was not finite; with a loss scale the update was skipped."""


class Step(Protocol):
    """One optimizer step on as many micro-batches as it was built for."""

    def __call__(self, batches: Sequence[MicroBatch], loss_scale: float, scalars: Scalars) -> StepResult: ...


class LossNetwork(nn.Cell):
    """(input_ids [B, S], labels [B, S]) -> loss: model and loss as one cell; parameter names stay as they are."""

    def __init__(self, model: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.loss = loss

    def construct(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(input_ids), input_ids, labels)


class Unchanged(nn.Cell):
    """gradients -> gradients: the reduction over a single process."""

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return gradients


class SumOfSquares(nn.Cell):
    """gradients -> the sum of the squares of all their elements, a scalar fp32.

    Rows first, then their sums: on a CPU ten times as fast as over all axes at once, and more exact.
    """

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.map, self.add = ops.HyperMap(), ops.AddN()
        self.cast, self.square, self.row_sums, self.sum = ops.Cast(), ops.Square(), ops.ReduceSum(), ops.ReduceSum()

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        return self.add(self.map(self._one, gradients))

    def _one(self, gradient: Tensor) -> Tensor:
        return self.sum(self.row_sums(self.square(self.cast(gradient, ms.float32)), -1))


@dataclass(frozen=True)
class Hooks:
    """What another arrangement of processes puts in place of the single-process pieces."""

    reduce: nn.Cell = field(default_factory=Unchanged)
    """(gradients) -> gradients, summed over data-parallel processes."""
    sum_squares: nn.Cell = field(default_factory=SumOfSquares)
    """(gradients) -> the sum of squares over everything that makes up one model."""
    weights: Callable[[Sequence[MicroBatch]], Sequence[float]] = lambda batches: [1.0] * len(batches)
    """A process' own micro-batches -> the factors on their losses; their sum over all replicas is 1."""
    mean_loss: Callable[[float], float] = float
    """A process' own weighted loss -> the mean over all rows of the step."""


class _Gradients(nn.Cell):
    """(input_ids, labels, loss scale) -> (loss, gradients of loss · scale)."""

    def __init__(self, network: nn.Cell, parameters: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.gradients = ops.value_and_grad(self._scaled_loss, None, parameters, has_aux=True)

    def _scaled_loss(self, input_ids: Tensor, labels: Tensor, loss_scale: Tensor) -> tuple[Tensor, Tensor]:
        loss = self.network(input_ids, labels)
        return loss * loss_scale, loss

    def construct(self, input_ids: Tensor, labels: Tensor, loss_scale: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        (_, loss), gradients = self.gradients(input_ids, labels, loss_scale)
        return loss, gradients


class Apply(nn.Cell):
    """(gradients, divisor, scalars) -> (global norm, finite): reduces, measures, clips and updates.

    `divisor` is what the gradients were multiplied by: the loss scale times the number of micro-batches. Clipping is
    not a pass of its own: it enters the scale that the optimizer multiplies by.
    """

    def __init__(self, optimizer: Optimizer, max_grad_norm: float | None, hooks: Hooks) -> None:
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.max_grad_norm = max_grad_norm
        self.reduce, self.sum_squares = hooks.reduce, hooks.sum_squares
        self.sqrt, self.maximum, self.is_finite = ops.Sqrt(), ops.Maximum(), ops.IsFinite()

    def construct(self, gradients: tuple[Tensor, ...], divisor: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        gradients = self.reduce(gradients)
        norm = self.sqrt(self.sum_squares(gradients)) / divisor
        finite = self.is_finite(norm)
        scale = 1.0 / divisor
        if self.max_grad_norm is not None:
            scale = scale * (self.max_grad_norm / self.maximum(norm, self.max_grad_norm))
        return norm, self.optimizer(gradients, scale, scalars, finite)


class _WholeStep(nn.Cell):
    """(input_ids, labels, factor on the loss, divisor, scalars) -> (loss, global norm, finite)."""

    def __init__(self, gradients: _Gradients, apply: Apply) -> None:
        super().__init__(auto_prefix=False)
        self.gradients, self.apply_gradients = gradients, apply

    def construct(
        self, input_ids: Tensor, labels: Tensor, factor: Tensor, divisor: Tensor, scalars: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        loss, gradients = self.gradients(input_ids, labels, factor)
        norm, finite = self.apply_gradients(gradients, divisor, scalars)
        return loss, norm, finite


class _AddMicroBatch(nn.Cell):
    """(input_ids, labels, loss scale) -> loss; adds the gradients to the buffers."""

    def __init__(self, gradients: _Gradients, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.gradients, self.buffers = gradients, buffers
        self.map, self.add, self.cast = ops.HyperMap(), ops.AssignAdd(), ops.Cast()

    def _add(self, buffer: Parameter, gradient: Tensor) -> Tensor:
        return self.add(buffer, self.cast(gradient, ms.float32))

    def construct(self, input_ids: Tensor, labels: Tensor, loss_scale: Tensor) -> Tensor:
        loss, gradients = self.gradients(input_ids, labels, loss_scale)
        return ops.depend(loss, self.map(self._add, self.buffers, gradients))


class ApplyBuffers(nn.Cell):
    """(divisor, scalars) -> (global norm, finite); leaves the buffers empty for the next step."""

    def __init__(self, apply: Apply, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.apply_gradients, self.buffers = apply, buffers
        self.map, self.assign = ops.HyperMap(), ops.Assign()

    def _clear(self, buffer: Parameter) -> Tensor:
        return self.assign(buffer, ops.zeros_like(buffer))

    def construct(self, divisor: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        norm, finite = self.apply_gradients(self.buffers, divisor, scalars)
        return norm, ops.depend(finite, self.map(self._clear, self.buffers))


class SingleBatchStep:
    """A step on one micro-batch."""

    def __init__(self, gradients: _Gradients, apply: Apply, hooks: Hooks) -> None:
        self._graph, self._hooks = _WholeStep(gradients, apply), hooks

    def __call__(self, batches: Sequence[MicroBatch], loss_scale: float, scalars: Scalars) -> StepResult:
        (batch,), (weight,) = batches, self._hooks.weights(batches)
        factor, divisor = Tensor(loss_scale * weight, ms.float32), Tensor(loss_scale, ms.float32)
        loss, norm, finite = self._graph(*map(Tensor, batch), factor, divisor, scalars.tensor())
        mean_loss = self._hooks.mean_loss(float(loss.asnumpy()) * weight)
        return StepResult(mean_loss, float(norm.asnumpy()), not bool(finite.asnumpy()))


class AccumulatingStep:
    """A step on several micro-batches, whose gradients are added in fp32."""

    def __init__(self, gradients: _Gradients, apply: Apply, hooks: Hooks) -> None:
        buffers, self._hooks = gradient_buffers(apply.optimizer.parameters), hooks
        self._add = _AddMicroBatch(gradients, buffers)
        self._apply = ApplyBuffers(apply, buffers)

    def __call__(self, batches: Sequence[MicroBatch], loss_scale: float, scalars: Scalars) -> StepResult:
        losses = []
        for batch, weight in zip(batches, self._hooks.weights(batches), strict=True):
            loss = self._add(*map(Tensor, batch), Tensor(loss_scale * weight, ms.float32))
            losses.append(float(loss.asnumpy()) * weight)
        norm, finite = self._apply(Tensor(loss_scale * len(batches), ms.float32), scalars.tensor())
        mean_loss = self._hooks.mean_loss(sum(losses) / len(losses))
        return StepResult(mean_loss, float(norm.asnumpy()), not bool(finite.asnumpy()))


def gradient_buffers(parameters: Sequence[Parameter]) -> ParameterTuple:
    """Return an fp32 buffer for the gradient of each parameter."""
    return ParameterTuple(
        Parameter(Tensor(np.zeros(p.shape, np.float32)), name=f"{ACCUMULATED}.{p.name}", requires_grad=False)
        for p in parameters
    )


def build_step(
    network: nn.Cell, optimizer: Optimizer, micro_batches: int, max_grad_norm: float | None, hooks: Hooks | None = None
) -> Step:
    """Return a step on `micro_batches` micro-batches; `network` maps (input_ids, labels) to the loss.

    `max_grad_norm` None leaves gradients as they are.
    """
    hooks = hooks or Hooks()
    gradients, apply = _Gradients(network, optimizer.parameters), Apply(optimizer, max_grad_norm, hooks)
    steps = SingleBatchStep if micro_batches == 1 else AccumulatingStep
    return steps(gradients, apply, hooks)
