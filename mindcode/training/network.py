"""The network of this process, its optimizer, and the step that trains it: whole, or the share that the plan gives it.

network = loss_network(config, processes)
optimizer = optimizer_for(config, processes, network)
step = step_for(config, processes, network, optimizer)
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from mindspore import Parameter, Tensor

from mindcode.checkpoint.placements import weight_of
from mindcode.config.optimizers import RULES
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.model.dtypes import dtypes_of
from mindcode.model.init import initialize
from mindcode.model.kernels import kernels_for
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import stage_of_layers
from mindcode.parallel.pipeline import Stage
from mindcode.parallel.processes import Processes
from mindcode.parallel.recompute import set_recompute
from mindcode.parallel.vocabulary import VocabParallelCrossEntropy
from mindcode.training.loss_scale import needs_loss_scale
from mindcode.training.optim import AdamW
from mindcode.training.pipeline_step import PipelineLoss, PipelineStep, StageLoss, Wires
from mindcode.training.sharded_optim import Optimizer, ShardedAdamW
from mindcode.training.snapshot import Layout
from mindcode.training.split import split_hooks
from mindcode.training.step import Apply, LossNetwork, Step, build_step
from mindcode.utils.lookup import lookup

Network = LossNetwork | StageLoss
EvaluationLoss = Callable[[Tensor, Tensor], Tensor]


def loss_network(config: RunConfig, processes: Processes) -> Network:
    """Return the model with its loss, or one stage of it, with random weights from the seed.

    The weights do not depend on the split: each process makes all of them and keeps its blocks.
    """
    sizes = config.model.model_config
    kernels = kernels_for(config.context.device_target, sizes)
    model = LlamaForCausalLM(sizes, kernels)
    initialize(model, config.seed, sizes.init_method_std)
    processes.split(model)
    stages = stage_of_layers(sizes.num_layers, processes.dims.pipeline_stage, sizes.offset)
    set_recompute(model, stages, config.recompute_config)
    if processes.tensor.size > 1:
        rows = sizes.vocab_size // processes.tensor.size
        kernels = replace(kernels, cross_entropy=lambda _: VocabParallelCrossEntropy(rows, processes.tensor))
    loss = CausalLMLoss(sizes, kernels)
    if processes.dims.pipeline_stage == 1:
        return LossNetwork(model, loss)
    return StageLoss(Stage(model, processes.place.stage, processes.plan), loss)


def optimizer_for(config: RunConfig, processes: Processes, network: Network) -> Optimizer:
    """Return the optimizer of this process' weights."""
    rule = lookup(RULES, config.optimizer.type, "optimizer.type")
    adam = partial(AdamW, config=config.optimizer, rule=rule, can_skip=needs_loss_scale(config.model.model_config))
    parameters, states = network.trainable_params(), processes.state_placements()
    row_counts = [states[parameter.name].shape[0] for parameter in parameters]
    if row_counts == [parameter.shape[0] for parameter in parameters]:
        return adam(parameters)
    return ShardedAdamW(parameters, row_counts, processes.data, adam)


def step_for(config: RunConfig, processes: Processes, network: Network, optimizer: Optimizer) -> Step:
    """Return one optimizer step of all processes, as this one takes part in it."""
    wrapper = config.runner_wrapper
    max_norm = wrapper.max_grad_norm if wrapper.use_clip_grad else None
    hooks = split_hooks(processes, optimizer.parameters)
    if isinstance(network, LossNetwork):
        return build_step(network, optimizer, micro_batches_per_step(config), max_norm, hooks)
    apply = Apply(optimizer, max_norm, hooks)
    return PipelineStep(network, processes, _wires(config, processes), apply, hooks)


def evaluation_loss(config: RunConfig, processes: Processes, network: Network) -> EvaluationLoss:
    """Return (input_ids, labels) -> this replica's loss without training; only the last stage knows it."""
    if isinstance(network, LossNetwork):
        return network
    return PipelineLoss(network, processes, _wires(config, processes))


def layout_of(processes: Processes, parameters: Sequence[Parameter]) -> Layout:
    """Return which blocks of the model's tensors `parameters`, weights and optimizer state, are."""
    weights, states = processes.placements(), processes.state_placements()
    placements = {p.name: weights[p.name] if p.name in weights else states[weight_of(p.name)] for p in parameters}
    return Layout(parameter_shapes(processes.plan.model), placements)


def _wires(config: RunConfig, processes: Processes) -> Wires:
    return Wires(processes, dtypes_of(config.model.model_config).compute)
