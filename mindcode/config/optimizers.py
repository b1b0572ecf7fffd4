"""In what the optimizers known by name differ, as a table: read by the optimizer and by the memory planner."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AdamRule:
    """In what the optimizers known by name differ."""

    bias_correction: bool
    """Divide the moments by 1 - βᵗ."""
    master_copy: bool
    """Keep an fp32 copy of half-precision parameters, so that small updates are not lost to rounding."""


RULES = {
    "AdamW": AdamRule(bias_correction=True, master_copy=True),
    "FP32StateAdamWeightDecay": AdamRule(bias_correction=False, master_copy=False),
}
"""By optimizer.type."""
