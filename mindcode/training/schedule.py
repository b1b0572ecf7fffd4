"""Learning rates by step: a warm-up, then a curve (the formulas of MindFormers' CosineWithWarmUpLR and its kin).

    rate = Schedule.of(config, peak=1e-5, run_steps=1000)
    rate(0)

Steps count from 0: the first optimizer step uses rate(0).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mindcode.config.schema import LRScheduleConfig
from mindcode.utils.lookup import lookup


def _cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _linear(progress: float) -> float:
    return 1.0 - progress


def _constant(progress: float) -> float:
    return 1.0


CURVES: dict[str, Callable[[float], float]] = {
    "CosineWithWarmUpLR": _cosine,
    "LinearWithWarmUpLR": _linear,
    "ConstantWarmUpLR": _constant,
}
"""Height above lr_end, from 1 down, over the share of the steps after the warm-up."""


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every optimizer step."""

    curve: Callable[[float], float]
    warmup_init: float
    peak: float
    end: float
    warmup_steps: int
    total_steps: int

    @classmethod
    def of(cls, config: LRScheduleConfig, peak: float, run_steps: int) -> "Schedule":
        """Resolve a configuration for a run of `run_steps` optimizer steps with maximum rate `peak`."""
        total = config.total_steps if config.total_steps > 0 else run_steps
        warmup = config.warmup_steps if config.warmup_ratio is None else int(total * config.warmup_ratio)
        curve = lookup(CURVES, config.type, "lr_schedule.type")
        return cls(curve, config.warmup_lr_init, peak, config.lr_end, warmup, total)

    def __call__(self, step: int) -> float:
        """Return the rate of optimizer step `step`."""
        if step < self.warmup_steps:
            return self.warmup_init + (self.peak - self.warmup_init) * step / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return self.end + (self.peak - self.end) * self.curve(progress)
