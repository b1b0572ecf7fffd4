"""Splits a single-device model from outside for MindSpore's semi-automatic parallelism (Ascend).

    share(model, loss, config)

Strategies for its operations, pipeline stages for its cells, what is computed again in the backward pass, and which
gradients travel together: all by name, from the plan, before anything is compiled. The collectives are MindSpore's.
"""

from mindspore import nn

from mindcode.config.schema import RunConfig
from mindcode.model.llama import LlamaForCausalLM
from mindcode.parallel.dims import ParallelDims, stage_of_layers
from mindcode.parallel.plan import EMBEDDING, Plan, smallest_shared_state
from mindcode.parallel.recompute import operations, set_recompute
from mindcode.parallel.strategies import Strategies

PIPELINE_FUSION = 2
"""With several stages, all gradients of a stage travel in one group. Groups count from 1, MindSpore's default."""


def share(model: LlamaForCausalLM, loss: nn.Cell, config: RunConfig) -> None:
    """Set everything that a compilation on several NPUs needs to know; UserError for unknown operations."""
    dims, sizes = ParallelDims.of(config), config.model.model_config
    stages, plan = stage_of_layers(sizes.num_layers, dims.pipeline_stage, sizes.offset), Plan.of(config)
    set_strategies(model, loss, Strategies(dims, config.parallel_config.use_seq_parallel))
    set_stages(model, loss, plan)
    set_shared_state(model, plan, smallest_shared_state(config))
    set_recompute(model, stages, config.recompute_config)
    set_fusion(model, config.parallel_config.gradient_aggregation_group, dims.pipeline_stage)


def set_strategies(model: nn.Cell, loss: nn.Cell, table: Strategies) -> None:
    """Give every operation its strategy; UserError when the table has none, or several, for one."""
    for name, primitive in [*operations(model), *operations(loss, "loss")]:
        strategy = table.of(name)
        if strategy is not None:
            primitive.shard(strategy.inputs, None if strategy.output is None else (strategy.output,))


def set_stages(model: LlamaForCausalLM, loss: nn.Cell, plan: Plan) -> None:
    """Assign every cell that owns weights to the stage that holds them, and the loss to the last one."""
    first, last = plan.stages_of(EMBEDDING)[0], plan.dims.pipeline_stage - 1
    model.model.tok_embeddings.pipeline_stage = first
    for layer in model.model.layers:
        (layer.pipeline_stage,) = plan.stages_of(layer.attention_norm.weight.name)
    for cell in (model.model.norm_out, model.lm_head, loss):
        cell.pipeline_stage = last


def set_shared_state(model: LlamaForCausalLM, plan: Plan, threshold: int | None) -> None:
    """Say of every parameter whether the replicas share its optimizer state; MindSpore has a rule of its own."""
    for parameter in model.trainable_params():
        whole = plan.placement(parameter.name, parameter.shape, 0)
        shared = threshold is not None and plan.state_placement(parameter.name, parameter.shape, 0, threshold) != whole
        parameter.parallel_optimizer = shared


def set_fusion(model: LlamaForCausalLM, groups: int, pipeline_stage: int) -> None:
    """Give gradients that travel together the same number: MindFormers' grouping of consecutive layers."""
    layers = model.model.layers
    size = max((len(layers) + 1) // groups, 1)
    for index, layer in enumerate(layers):
        layer.set_comm_fusion(PIPELINE_FUSION if pipeline_stage > 1 else index // size + 1)
    for cell in (model.model.tok_embeddings, model.model.norm_out, model.lm_head):
        cell.set_comm_fusion(PIPELINE_FUSION if pipeline_stage > 1 else groups)
