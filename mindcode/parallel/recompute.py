"""Which activations are computed again in the backward pass instead of being kept. Pure Python."""

from collections.abc import Sequence

from mindcode.utils.errors import UserError

CHEAP = (
    r"attention_norm\..*",
    r"ffn_norm\..*",
    r"attention\.cast",
    r"attention\.rope_[qk]\..*",
    r"feed_forward\.(silu|mul)",
)
"""Operations of a layer that cost little next to the memory of their results: all but products and attention itself."""


def chosen_layers(setting: bool | tuple[int, ...], stages: Sequence[int], key: str) -> tuple[bool, ...]:
    """Return which layers a setting chooses: all, none, or so many from the beginning of each pipeline stage.

    `stages` holds the stage of every layer. UserError when the setting has not one number for each stage.
    """
    if isinstance(setting, bool):
        return (setting,) * len(stages)
    count = max(stages) + 1
    if len(setting) != count:
        raise UserError(f"{key}: {len(setting)} numbers for pipeline_stage {count}; give one for each stage")
    return tuple(layer - stages.index(stage) < setting[stage] for layer, stage in enumerate(stages))
