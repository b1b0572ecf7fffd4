"""What waits for the backward pass, as a table of a layer's operations.

    kept_by_layer(sizes, Recompute.LITTLE)       # bytes of one layer for one micro-batch on one rank
    kept_by_stage(config, stage=0)               # bytes of all its layers and of all micro-batches on their way

The rows are the results that MindSpore's gradients read again, as its memory tracker shows them in the compiled step.
"""

import functools
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.parallel.dims import ParallelDims, stage_of_layers
from mindcode.parallel.recompute import chosen_layers
from mindcode.planner.layout import layers_of_stages
from mindcode.planner.shapes import Sizes


class Recompute(Enum):
    """What of a layer is computed again."""

    LITTLE = "what passes over memory once, see parallel/recompute.py: ALWAYS"
    NORMS_BUT_MESSAGES = "the norms, too, but nothing is sent again (select_recompute, mp_comm_recompute False)"
    NORMS = "the norms, too, and what they send (select_recompute)"
    ALL_BUT_MESSAGES = "the whole layer, but nothing is sent again (recompute, mp_comm_recompute False)"
    ALL = "the whole layer (recompute)"


class Kept(NamedTuple):
    """The result of an operation; its tokens, width and format are words of shapes.py."""

    operation: str
    tokens: str
    width: str
    form: str


ALWAYS_KEPT = (
    Kept("input", "t", "width", "compute"),
    Kept("attention.rope_q.add", "d", "heads", "compute"),
    Kept("attention.rope_k.add", "d", "kv_heads", "compute"),
    Kept("attention.split_heads.transpose of v", "d", "kv_heads", "compute"),
    Kept("add_attention", "t", "width", "compute"),
    Kept("feed_forward.w1.matmul", "d", "ffn", "compute"),
    Kept("feed_forward.w3.matmul", "d", "ffn", "compute"),
)
"""Around the core of attention; what is between these, one pass over memory makes again."""

GATHERED = (
    Kept("attention.gathered", "d", "width", "compute"),
    Kept("feed_forward.gathered", "d", "width", "compute"),
)
"""The normalised stream with all tokens, as products need it."""

STATISTICS_OF_NORMS = (
    Kept("attention_norm.norm.rms_norm", "t", "one", "float32"),
    Kept("ffn_norm.norm.rms_norm", "t", "one", "float32"),
)

FUSED_CORE = (
    Kept("attention.core.flash", "d", "heads", "compute"),
    Kept("attention.core.flash: maximum and sum", "d", "statistics", "float32"),
)
PLAIN_CORE = (
    Kept("attention.core.scale_queries", "d", "heads", "compute"),
    Kept("attention.core.softmax", "d", "scores", "softmax"),
)
PLAIN_CAST = Kept("attention.core.cast", "d", "scores", "compute")
"""Of plain attention, where the softmax has another format."""

INPUT = (Kept("input", "t", "width", "compute"),)
BETWEEN_MESSAGES = (
    Kept("attention.gathered", "d", "width", "compute"),
    Kept("attention.wq.matmul", "d", "heads", "compute"),
    Kept("attention.wk.matmul", "d", "kv_heads", "compute"),
    Kept("attention.wv.matmul", "d", "kv_heads", "compute"),
    Kept("attention.merge_heads.transpose", "d", "heads", "compute"),
    Kept("attention.wo: sum", "t", "width", "compute"),
    Kept("feed_forward.gathered", "d", "width", "compute"),
)
"""Kept with the input where messages are not to be sent again: their results, and what they interrupt."""

HEAD = (
    Kept("norm_out.cast", "t", "width", "norm"),
    Kept("lm_head.gathered", "d", "width", "compute"),
    Kept("loss.cast_logits", "d", "vocabulary", "float32"),
    Kept("loss.cross_entropy.exp", "d", "vocabulary", "float32"),
    Kept("loss.cross_entropy.one_hot", "d", "vocabulary", "float32"),
    Kept("loss.cross_entropy.pick", "d", "vocabulary", "float32"),
)
"""Last norm, head and loss, of the one micro-batch that the last stage has."""

PASSING = (
    Kept("gradient, gathered", "d", "width", "compute"),
    Kept("gradient of feed_forward.mul", "d", "ffn", "compute"),
    Kept("feed_forward.silu again", "d", "ffn", "compute"),
    Kept("feed_forward.mul again", "d", "ffn", "compute"),
    Kept("sent", "t", "width", "compute"),
    Kept("received", "t", "width", "compute"),
    Kept("gradient of the residual stream", "t", "width", "compute"),
)
PLAIN_PASSING = (
    Kept("gradient of attention.core.softmax", "d", "scores", "softmax"),
    Kept("gradient of attention.core.query_key", "d", "scores", "softmax"),
)
"""In use for a moment in the backward pass of a layer; the second table with plain attention."""


@functools.cache
def kept_by_layer(sizes: Sizes, recompute: Recompute) -> int:
    """Return the bytes that one layer keeps of one micro-batch."""
    return total_of(sizes, rows_of_layer(sizes, recompute))


def rows_of_layer(sizes: Sizes, recompute: Recompute) -> tuple[Kept, ...]:
    """Return what one layer keeps of one micro-batch."""
    core = FUSED_CORE if sizes.model.use_flash_attention else _plain_core(sizes.model)
    between = (*ALWAYS_KEPT, *core)
    return {
        Recompute.LITTLE: (*between, *GATHERED, *STATISTICS_OF_NORMS),
        Recompute.NORMS_BUT_MESSAGES: (*between, *GATHERED),
        Recompute.NORMS: between,
        Recompute.ALL_BUT_MESSAGES: (*INPUT, *BETWEEN_MESSAGES),
        Recompute.ALL: INPUT,
    }[recompute]


def _plain_core(model: ModelConfig) -> tuple[Kept, ...]:
    return PLAIN_CORE if model.softmax_compute_type == model.compute_dtype else (*PLAIN_CORE, PLAIN_CAST)


def passing_rows(sizes: Sizes) -> tuple[Kept, ...]:
    """Return what is in use for a moment, in the backward pass of a layer."""
    return PASSING if sizes.model.use_flash_attention else (*PASSING, *PLAIN_PASSING)


def kept_by_stage(config: RunConfig, stage: int) -> int:
    """Return the bytes of all layers of a stage for all micro-batches that it has begun and not ended."""
    sizes, choices = Sizes.of(config), recompute_of_layers(config)
    counts = Counter(choices[layer] for layer in layers_of_stages(config)[stage])
    layers = sum(count * kept_by_layer(sizes, kind) for kind, count in counts.items())
    return (layers + mask_bytes(sizes)) * in_flight(config, stage)


def in_flight(config: RunConfig, stage: int) -> int:
    """Return how many micro-batches a stage keeps at once: one more than stages follow (Narayanan et al. 2021)."""
    return min(ParallelDims.of(config).pipeline_stage - stage, micro_batches_per_step(config))


def recompute_of_layers(config: RunConfig) -> tuple[Recompute, ...]:
    """Return what is computed again of every layer; a whole layer wins."""
    model, stages = config.model.model_config, ParallelDims.of(config).pipeline_stage
    stage_of = stage_of_layers(model.num_layers, stages, model.offset)
    section, is_sent = config.recompute_config, ParallelDims.of(config).model_parallel > 1
    sends_again = section.mp_comm_recompute
    everything = Recompute.ALL if sends_again or not is_sent else Recompute.ALL_BUT_MESSAGES
    norms = Recompute.NORMS if sends_again or not Sizes.of(config).is_sliced else Recompute.NORMS_BUT_MESSAGES
    whole = chosen_layers(section.recompute, stage_of, "recompute_config.recompute")
    some = chosen_layers(section.select_recompute, stage_of, "recompute_config.select_recompute")
    return tuple(
        everything if is_whole else norms if is_some else Recompute.LITTLE
        for is_whole, is_some in zip(whole, some, strict=True)
    )


def mask_bytes(sizes: Sizes) -> int:
    """Return the bytes of the mask that all layers share: one row of keys for each token."""
    return sizes.bytes_of("d", "row", "int8" if sizes.model.use_flash_attention else "softmax")


def total_of(sizes: Sizes, rows: Iterable[Kept]) -> int:
    """Return the bytes of some rows of the table."""
    return sum(sizes.bytes_of(row.tokens, row.width, row.form) for row in rows)
