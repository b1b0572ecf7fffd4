"""Training on several NPUs: the whole step as one graph that MindSpore's parallel compiler makes for each rank.

    training = npu_training(config, rank=0)     # model, optimizer and step; their tensors take no memory yet
    training.compile()                          # without any data
    for parameter in training.everything:       # what this rank holds, each with the shape of its block
        print(parameter.name, parameter.shape, parameter.dtype)

`mindcode train` sets the blocks after that and calls the step (interpreters.py); the dry run only compiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mindspore import Parameter
from mindspore.nn.utils import no_init_parameters

from mindcode.checkpoint.placements import weight_of
from mindcode.config.optimizers import RULES
from mindcode.config.schema import RunConfig
from mindcode.model.kernels import kernels_for
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.parallel.plan import Placement, blocks_on
from mindcode.parallel.semi_auto import share
from mindcode.parallel.semi_auto_step import GlobalSumOfSquares, SemiAutoStep
from mindcode.training.loss_scale import needs_loss_scale
from mindcode.training.optim import AdamW
from mindcode.training.step import Apply, Hooks, LossNetwork
from mindcode.utils.lookup import lookup


@dataclass(frozen=True)
class NpuTraining:
    """One rank's view of a training step of all."""

    weights: tuple[Parameter, ...]
    """Those that this rank's stage holds; the compiler cuts them to the rank's blocks."""
    state: tuple[Parameter, ...]
    """The optimizer's state of the same."""
    placements: Mapping[str, Placement]
    """The block of each of them, by name: of what the compiled graph is to hold, the plan's word."""
    optimizer: AdamW
    """Of all weights: MindSpore leaves out those of other stages."""
    step: SemiAutoStep

    @property
    def everything(self) -> tuple[Parameter, ...]:
        """Weights and optimizer state."""
        return (*self.weights, *self.state)

    def compile(self) -> None:
        """Compile the whole step for this rank; afterwards parameters have the shapes of their blocks."""
        self.step.compile()


def npu_training(config: RunConfig, rank: int) -> NpuTraining:
    """Return the training of `rank`; UserError for what the plan or MindSpore cannot split."""
    sizes, wrapper = config.model.model_config, config.runner_wrapper
    kernels, rule = kernels_for("Ascend", sizes), lookup(RULES, config.optimizer.type, "optimizer.type")
    with no_init_parameters():
        model, loss = LlamaForCausalLM(sizes, kernels), CausalLMLoss(sizes, kernels)
        share(model, loss, config)
        optimizer = AdamW(model.trainable_params(), config.optimizer, rule, can_skip=needs_loss_scale(sizes))
        hooks = Hooks(sum_squares=GlobalSumOfSquares(optimizer.parameters, config))
        update = Apply(optimizer, wrapper.max_grad_norm if wrapper.use_clip_grad else None, hooks)
        step = SemiAutoStep(LossNetwork(model, loss), optimizer.parameters, update, config)
    blocks = blocks_on(config, rank)
    weights = tuple(parameter for parameter in optimizer.parameters if parameter.name in blocks)
    state = tuple(parameter for parameter in optimizer.state if weight_of(parameter.name) in blocks)
    placements = {parameter.name: blocks[weight_of(parameter.name)] for parameter in (*weights, *state)}
    return NpuTraining(weights, state, placements, optimizer, step)
