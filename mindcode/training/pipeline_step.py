"""One optimizer step of a pipeline stage: micro-batches go forward and backward in parallel/pipeline.py's order.

    step = PipelineStep(stage, processes, wires, apply, hooks)
    result = step(batches, loss_scale=1.0, scalars=step_scalars(...))

A stage keeps the input of a micro-batch, not what happens inside: its backward pass computes the forward pass again.
The last stage goes backward at once and computes nothing twice, so it may take more layers than the others (`offset`).
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcode.parallel.pipeline import Kind, Stage, tasks
from mindcode.parallel.processes import Processes
from mindcode.runtime.distributed import summed_over
from mindcode.training.optim import Scalars
from mindcode.training.step import Apply, ApplyBuffers, Hooks, MicroBatch, StepResult, gradient_buffers


class StageLoss(nn.Cell):
    """(x [T, D], input_ids [B, S], labels [B, S]) -> loss: the last stage and the loss."""

    def __init__(self, stage: Stage, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.stage, self.loss = stage, loss

    def construct(self, x: Tensor, input_ids: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.stage(x, input_ids), input_ids, labels)


class _AddGradients(nn.Cell):
    """(gradients, result) -> result, once the gradients are added to the fp32 buffers."""

    def __init__(self, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.buffers = buffers
        self.map, self.add, self.cast = ops.HyperMap(), ops.AssignAdd(), ops.Cast()

    def _add(self, buffer: Parameter, gradient: Tensor) -> Tensor:
        return self.add(buffer, self.cast(gradient, ms.float32))

    def construct(self, gradients: tuple[Tensor, ...], result: Tensor) -> Tensor:
        return ops.depend(result, self.map(self._add, self.buffers, gradients))


class _Backward(nn.Cell):
    """(x, input_ids, gradient of the stage's output) -> gradient of x."""

    def __init__(self, stage: Stage, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.stage, self.parameters = stage, ParameterTuple(stage.trainable_params())
        self.gradients = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
        self.add = _AddGradients(buffers)

    def construct(self, x: Tensor, input_ids: Tensor, dout: Tensor) -> Tensor:
        inputs, gradients = self.gradients(self.stage, self.parameters)(x, input_ids, dout)
        return self.add(gradients, inputs[0])


class _LossBackward(nn.Cell):
    """(x, input_ids, labels, loss scale) -> (loss, gradient of x): both passes of the last stage."""

    def __init__(self, network: StageLoss, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.add = network, _AddGradients(buffers)
        parameters = ParameterTuple(network.trainable_params())
        self.gradients = ops.value_and_grad(self._scaled_loss, 0, parameters, has_aux=True)

    def _scaled_loss(self, x: Tensor, input_ids: Tensor, labels: Tensor, loss_scale: Tensor) -> tuple[Tensor, Tensor]:
        loss = self.network(x, input_ids, labels)
        return loss * loss_scale, loss

    def construct(self, x: Tensor, input_ids: Tensor, labels: Tensor, loss_scale: Tensor) -> tuple[Tensor, Tensor]:
        (_, loss), (dx, gradients) = self.gradients(x, input_ids, labels, loss_scale)
        return loss, self.add(gradients, dx)


class Wires:
    """Messages between this stage and its neighbours; x is [T, D], or this process' slice of T."""

    def __init__(self, processes: Processes, dtype: ms.Type) -> None:
        self._before, self._after = summed_over(processes.before), summed_over(processes.after)
        self._width, self._dtype = processes.plan.model.hidden_size, dtype
        self._slices = processes.tensor.size if processes.sequence_parallel else 1

    def nothing(self, input_ids: Tensor) -> Tensor:
        """Return zeros like the activations of these ids."""
        return ops.zeros((input_ids.size // self._slices, self._width), self._dtype)

    def from_before(self, input_ids: Tensor) -> Tensor:
        """Receive activations."""
        return self._before(self.nothing(input_ids))

    def to_before(self, gradient: Tensor) -> None:
        """Send a gradient."""
        self._before(gradient).asnumpy()

    def from_after(self, input_ids: Tensor) -> Tensor:
        """Receive a gradient."""
        return self._after(self.nothing(input_ids))

    def to_after(self, x: Tensor) -> None:
        """Send activations."""
        self._after(x).asnumpy()


class PipelineStep:
    """A step on several micro-batches, as one stage sees it."""

    def __init__(self, network: StageLoss, processes: Processes, wires: Wires, apply: Apply, hooks: Hooks) -> None:
        buffers = gradient_buffers(apply.optimizer.parameters)
        self._place, self._stages, self._wires = processes.place, processes.dims.pipeline_stage, wires
        self._forward, self._is_last = network.stage, processes.is_last_stage
        self._backward = _LossBackward(network, buffers) if self._is_last else _Backward(network.stage, buffers)
        self._apply, self._hooks = ApplyBuffers(apply, buffers), hooks

    def __call__(self, batches: Sequence[MicroBatch], loss_scale: float, scalars: Scalars) -> StepResult:
        loss = self._hooks.mean_loss(self._run(batches, loss_scale, self._hooks.weights(batches)))
        norm, finite = self._apply(Tensor(loss_scale * len(batches), ms.float32), scalars.tensor())
        return StepResult(loss, float(norm.asnumpy()), not bool(finite.asnumpy()))

    def _run(self, batches: Sequence[MicroBatch], loss_scale: float, weights: Sequence[float]) -> float:
        """Do this stage's tasks, which fill the gradient buffers; return the mean loss, on the last stage."""
        ids = [Tensor(batch.input_ids) for batch in batches]
        labels = [Tensor(batch.labels) for batch in batches]
        inputs = {index: self._wires.nothing(ids[0]) for index in range(len(batches))} if not self._place.stage else {}
        outputs: dict[int, Tensor] = {}
        gradients: dict[int, Tensor] = {}
        losses = []
        for kind, index in tasks(self._place.stage, self._stages, len(batches)):
            if kind is Kind.RECEIVE:
                inputs[index] = self._wires.from_before(ids[index])
            elif kind is Kind.FORWARD:
                outputs[index] = self._forward(inputs[index], ids[index])
            elif kind is Kind.SEND:
                self._wires.to_after(outputs.pop(index))
            elif kind is Kind.RECEIVE_GRADIENT:
                gradients[index] = self._wires.from_after(ids[index])
            elif kind is Kind.SEND_GRADIENT:
                self._wires.to_before(gradients.pop(index))
            elif self._is_last:
                factor = Tensor(loss_scale * weights[index], ms.float32)
                loss, gradients[index] = self._backward(inputs.pop(index), ids[index], labels[index], factor)
                losses.append(float(loss.asnumpy()) * weights[index])
            else:
                gradients[index] = self._backward(inputs.pop(index), ids[index], gradients[index])
        return sum(losses) / len(losses) if losses else 0.0


class PipelineLoss:
    """(input_ids, labels) -> the loss on the last stage, 0 on the others: the forward pass for evaluation."""

    def __init__(self, network: StageLoss, processes: Processes, wires: Wires) -> None:
        self._network, self._wires = network, wires
        self._is_first, self._is_last = processes.place.stage == 0, processes.is_last_stage

    def __call__(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        x = self._wires.nothing(input_ids) if self._is_first else self._wires.from_before(input_ids)
        if not self._is_last:
            self._wires.to_after(self._network.stage(x, input_ids))
            return Tensor(0.0, ms.float32)
        return self._network(x, input_ids, labels)
