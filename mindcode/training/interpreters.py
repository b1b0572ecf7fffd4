"""What this process trains of a run, and how: by the interpreter of its device, a table.

share = training_share(config, processes)
share.draw_weights()                            # unless they come from a checkpoint
result = share.step(batches, loss_scale, scalars)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from mindcode.checkpoint.placements import weight_of
from mindcode.config.schema import RunConfig
from mindcode.model.init import initial_values
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.explicit import block_of
from mindcode.parallel.plan import Placement
from mindcode.parallel.processes import Processes
from mindcode.parallel.semi_auto_step import SemiAutoStep
from mindcode.training import network
from mindcode.training.npu import NpuTraining, npu_training
from mindcode.training.optim import MASTER, Scalars
from mindcode.training.snapshot import Layout
from mindcode.training.split import OverReplicas
from mindcode.training.step import MicroBatch, Step, StepResult
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import lookup


class HeldOptimizer(Protocol):
    """The optimizer as far as this process has its tensors."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Weights."""

    @property
    def state(self) -> Sequence[Parameter]:
        """What a checkpoint needs besides them."""

    @property
    def can_skip(self) -> bool:
        """Whether an update with an overflow changes nothing."""

    def refresh(self) -> None:
        """Follow weights and state after they were set from outside."""

    def refresh_copies(self) -> None:
        """Follow the weights after they were set without any state."""


@dataclass(frozen=True)
class Share:
    """One process' share of the training."""

    optimizer: HeldOptimizer
    step: Step
    layout: Layout
    evaluation_loss: network.EvaluationLoss | None
    """None on several NPUs: they have one graph, that of the step."""
    draw_weights: Callable[[], None]
    """Set the weights to random ones from the seed, the same in every split."""


def training_share(config: RunConfig, processes: Processes) -> Share:
    """Build what this process trains; a process that is alone is the explicit interpreter's simplest case."""
    build = lookup(INTERPRETERS, config.context.device_target, "context.device_target")
    return build(config, processes) if processes.world.size > 1 else _explicit(config, processes)


def _explicit(config: RunConfig, processes: Processes) -> Share:
    """A network that is cut when it is built, from whole random weights."""
    model = network.loss_network(config, processes)
    optimizer = network.optimizer_for(config, processes, model)
    return Share(
        optimizer,
        network.step_for(config, processes, model, optimizer),
        network.layout_of(processes, [*optimizer.parameters, *optimizer.state]),
        network.evaluation_loss(config, processes, model),
        draw_weights=lambda: None,
    )


def _semi_auto(config: RunConfig, processes: Processes) -> Share:
    """MindSpore's parallel compiler cuts the network; parameters get their blocks when they have their shapes."""
    training = npu_training(config, processes.world.rank)
    get_logger().info("compiling the step of rank %d", processes.world.rank)
    training.compile()
    optimizer = StageOptimizer(training)

    def draw_weights() -> None:
        for parameter in optimizer.parameters:
            draw_block(parameter, training.placements[parameter.name], config)
        optimizer.refresh_copies()

    layout = Layout(parameter_shapes(config.model.model_config), training.placements)
    return Share(optimizer, NpuStep(training.step, processes), layout, None, draw_weights)


INTERPRETERS: dict[str, Callable[[RunConfig, Processes], Share]] = {"CPU": _explicit, "Ascend": _semi_auto}
"""By device target."""


def draw_block(parameter: Parameter, placement: Placement, config: RunConfig) -> None:
    """Set a weight to its block of the random values that its name and the seed stand for."""
    std = config.model.model_config.init_method_std
    values = initial_values(parameter.name, placement.global_shape, config.seed, std)
    parameter.set_data(Tensor(block_of(values, placement), parameter.dtype))


class StageOptimizer:
    """The part of an NpuTraining's optimizer whose tensors this rank's stage holds."""

    def __init__(self, training: NpuTraining) -> None:
        self.parameters, self.state = training.weights, training.state
        self.can_skip = training.optimizer.can_skip

    def refresh(self) -> None:
        """Weights and state are what is updated, so nothing is to do."""

    def refresh_copies(self) -> None:
        """Set the fp32 copies, if there are any, to the weights."""
        weights = {weight.name: weight for weight in self.parameters}
        for copy in self.state:
            if copy.name.startswith(MASTER):
                copy.set_data(weights[weight_of(copy.name)].astype(ms.float32))


class NpuStep:
    """The step of all NPUs as the training loop calls it: micro-batches in, numbers out."""

    def __init__(self, step: SemiAutoStep, processes: Processes) -> None:
        self._step, self._over_replicas = step, OverReplicas(processes)
        self._replicas = processes.dims.data_parallel

    def __call__(self, batches: Sequence[MicroBatch], loss_scale: float, scalars: Scalars) -> StepResult:
        input_ids, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        loss, norm, finite = self._step(input_ids, labels, loss_scale, scalars.tensor())
        # every rank of the last stage has the mean over all rows, the others have nothing
        mean_loss = self._over_replicas(np.array([float(loss.asnumpy())]))[0] / self._replicas
        return StepResult(float(mean_loss), float(norm.asnumpy()), not bool(finite.asnumpy()))
