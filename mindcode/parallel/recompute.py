"""Which activations are computed again in the backward pass instead of being kept. Needs no MindSpore by itself.

chosen_layers((8, 0), stages, "recompute_config.recompute")
set_recompute(model, stages, config.recompute_config)
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mindcode.config.schema import RecomputeConfig
from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindspore import nn, ops

    from mindcode.model.llama import LlamaForCausalLM

ALWAYS = (
    r"(attention|ffn)_norm\.cast",
    r"attention\.(merge_heads\.transpose|reshape)",
    r"feed_forward\.(silu|mul)",
)
"""Operations of every layer: one pass over memory each, from results that are kept anyway."""

NORMS = r"(attention|ffn)_norm\..*"
"""Operations that select_recompute adds, with the messages that gather their results (Korthikanti et al. 2022)."""


def chosen_layers(setting: bool | tuple[int, ...], stages: Sequence[int], key: str) -> tuple[bool, ...]:
    """Return which layers a setting chooses: all, none, or so many from the beginning of each pipeline stage.

    `stages` holds the stage of every layer. UserError when the setting has not one
    number for each stage, or one that is larger than the stage.
    """
    if isinstance(setting, bool):
        return (setting,) * len(stages)
    count = max(stages) + 1
    if len(setting) != count:
        raise UserError(f"{key}: {len(setting)} numbers for pipeline_stage {count}; give one for each stage")
    for stage, chosen in enumerate(setting):
        if not 0 <= chosen <= stages.count(stage):
            raise UserError(f"{key}: {chosen} layers of stage {stage}, which has {stages.count(stage)}; give 0 to that")
    return tuple(layer - stages.index(stage) < setting[stage] for layer, stage in enumerate(stages))


def operations(cell: "nn.Cell", prefix: str = "") -> "Iterator[tuple[str, ops.Primitive]]":
    """Yield every operation that `cell` and the cells in it hold, with its dotted name."""
    for path, owner in cell.cells_and_names(name_prefix=prefix):
        for attribute, primitive in owner._primitives.items():
            if primitive is not None:
                yield f"{path}.{attribute}".lstrip("."), primitive


def set_recompute(model: "LlamaForCausalLM", stages: tuple[int, ...], config: RecomputeConfig) -> None:
    """Mark whole layers, or operations of them, to be computed again; a whole layer wins.

    Gathering sharded weights again (parallel_optimizer_comm_recompute) is a level of the sharded optimizer in
    MindSpore 2.9 and set there, see semi_auto_step.py.
    """
    whole = chosen_layers(config.recompute, stages, "recompute_config.recompute")
    norms = chosen_layers(config.select_recompute, stages, "recompute_config.select_recompute")
    for index, layer in enumerate(model.model.layers):
        if whole[index]:
            layer.recompute(
                mp_comm_recompute=config.mp_comm_recompute,
                recompute_slice_activation=config.recompute_slice_activation,
            )
            continue
        for name, primitive in operations(layer):
            selected = norms[index] and re.fullmatch(NORMS, name) is not None
            if selected or any(re.fullmatch(pattern, name) for pattern in ALWAYS):
                primitive.recompute()
            if selected:
                primitive.add_prim_attr("recompute_comm_op", config.mp_comm_recompute)
