"""What every rank needs of its NPU's memory, from the plan and the table of activations.

    memory = rank_memory(config, rank=0)
    memory.total / GIB

Weights and optimizer state are the compiled graph's to the byte. The rest is what MindSpore allocates in the compiled
step, as far as a table can say; the workspace of its kernels, HCCL's buffers and the driver come on top.
"""

from dataclasses import dataclass, replace

from mindcode.config.optimizers import RULES
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import GIB, micro_batches_per_step
from mindcode.parallel.dims import ParallelDims
from mindcode.planner.activations import (
    HEAD,
    Recompute,
    kept_by_layer,
    kept_by_stage,
    passing_rows,
    recompute_of_layers,
    total_of,
)
from mindcode.planner.layout import layers_of_stages
from mindcode.planner.shapes import BYTES, Sizes
from mindcode.planner.weights import StageWeights, stage_weights
from mindcode.utils.lookup import lookup


@dataclass(frozen=True)
class RankMemory:
    """Bytes on one NPU while it trains or generates."""

    parameters: int
    """Weights, as this rank holds them between steps."""
    gradients: int
    """Sums over the micro-batches of a step, or the gradients of its only one."""
    optimizer_state: int
    """Moments, and fp32 copies where the optimizer has them."""
    activations: int
    """Kept for backward passes, of all micro-batches on their way; in prediction, the key/value cache."""
    other: int
    """Weights gathered from other replicas, constants, and what is in use only for a moment."""
    update: int = 0
    """What the optimizer works with, when the activations are gone."""

    @property
    def total(self) -> int:
        """At the moment of the largest need."""
        passing = max(self.activations + self.other, self.update)
        return self.parameters + self.gradients + self.optimizer_state + passing


def device_memory(config: RunConfig) -> int:
    """Return context.max_device_memory in bytes."""
    return int(float(config.context.max_device_memory.removesuffix("GB")) * GIB)


def rank_memory(config: RunConfig, rank: int) -> RankMemory:
    """Return what `rank` needs; UserError for a split that does not divide."""
    return BY_RUN_MODE[config.run_mode](config, rank)


def _training(config: RunConfig, rank: int) -> RankMemory:
    stage = ParallelDims.of(config).coordinates(rank).stage
    weights, kept = stage_weights(config, stage), kept_by_stage(config, stage)
    gradients = _gradients(config, weights)
    if micro_batches_per_step(config) == 1:
        # gradients take the place of activations as these are used up
        kept = max(kept - gradients, 0)
    return RankMemory(
        parameters=weights.held.bytes,
        gradients=gradients,
        optimizer_state=_state(config, weights),
        activations=kept,
        other=_gathered(config, weights) + 2 * _constants(config) + _passing(config, stage),
        update=_update(config, weights) + _constants(config),
    )


def _gradients(config: RunConfig, weights: StageWeights) -> int:
    """In the formats of the weights; sums are whole, unless they are to be shared by the replicas."""
    shared = config.parallel.parallel_optimizer_config.gradient_accumulation_shard
    return weights.held.bytes if micro_batches_per_step(config) == 1 or shared else weights.whole.bytes


def _state(config: RunConfig, weights: StageWeights) -> int:
    """Two moments in fp32; where the optimizer keeps one, a copy of what is in half precision, too."""
    copies = weights.held.half_numbers if lookup(RULES, config.optimizer.type, "optimizer.type").master_copy else 0
    return 4 * (2 * weights.held.numbers + copies)


def _gathered(config: RunConfig, weights: StageWeights) -> int:
    """Weights that replicas share are gathered once a step and then stay, unless they are to be gathered again."""
    return 0 if config.recompute_config.parallel_optimizer_comm_recompute else weights.shared.bytes


def _constants(config: RunConfig) -> int:
    """The triangle of the mask and the rotary tables; while the model computes there are slices of the same size."""
    model = config.model.model_config
    return model.seq_length**2 + 2 * model.seq_length * model.head_dim * BYTES[model.rotary_dtype]


def _passing(config: RunConfig, stage: int) -> int:
    """What is in use for a moment in the middle of a stage's work: at its last layer, or in the head and the loss."""
    sizes, choices = Sizes.of(config), recompute_of_layers(config)
    kinds = {choices[layer] for layer in layers_of_stages(config)[stage]}
    again = kept_by_layer(sizes, Recompute.LITTLE) - min(kept_by_layer(sizes, kind) for kind in kinds)
    layer = total_of(sizes, passing_rows(sizes)) + _largest_gradient(sizes) + again
    is_last = stage == ParallelDims.of(config).pipeline_stage - 1
    return max(layer, total_of(sizes, HEAD)) if is_last else layer


def _largest_gradient(sizes: Sizes) -> int:
    """Of one matrix of the feed-forward layer."""
    model = sizes.model
    return model.ffn_size // sizes.parts * model.hidden_size * BYTES[model.param_init_type]


def _update(config: RunConfig, weights: StageWeights) -> int:
    """Four fp32 tensors of the part that is updated, and copies of the sums, which are cleared.

    Parts are no larger than the largest matrix of all, of which the first stage has one.
    """
    part = 4 * 4 * stage_weights(config, 0).held.largest
    return part + (_gradients(config, weights) if micro_batches_per_step(config) > 1 else 0)


def _evaluation(config: RunConfig, rank: int) -> RankMemory:
    """Weights as the plan cuts them, and one micro-batch on its way forward."""
    sizes, stage = Sizes.of(config), ParallelDims.of(config).coordinates(rank).stage
    passing = 2 * _constants(config) + max(total_of(sizes, passing_rows(sizes)), total_of(sizes, HEAD))
    return RankMemory(stage_weights(config, stage).whole.bytes, 0, 0, activations=0, other=passing)


def _prediction(config: RunConfig, rank: int) -> RankMemory:
    """Weights as the plan cuts them, the paged cache of keys and values, and the longest prompt on its way."""
    model, stage = config.model.model_config, ParallelDims.of(config).coordinates(rank).stage
    longest = min(model.seq_length, model.max_decode_length)
    prompt = replace(Sizes.of(config), tokens=longest, is_sliced=False)
    cached = model.num_blocks * model.block_size * prompt.bytes_per_token("kv_heads", "compute")
    return RankMemory(
        parameters=stage_weights(config, stage).whole.bytes,
        gradients=0,
        optimizer_state=0,
        activations=2 * model.num_layers * cached,
        other=total_of(prompt, passing_rows(prompt)),
    )


BY_RUN_MODE = {"train": _training, "finetune": _training, "eval": _evaluation, "predict": _prediction}
