"""The loss scale that keeps float16 gradients out of the range where they vanish.

The loss is multiplied by the scale before the backward pass and the gradients are divided by it after. Gradients that
overflow cost one skipped step and a smaller scale; a long run of clean steps earns a larger one.
"""

from dataclasses import dataclass, replace

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ScaleSenseConfig
from mindcode.utils.lookup import lookup


@dataclass(frozen=True)
class LossScale:
    """The scale now, the clean steps since it last changed, and the rule by which it changes (factor 1: never)."""

    value: float
    factor: int
    window: int
    clean_steps: int = 0

    def after(self, overflow: bool) -> "LossScale":
        """Return the scale of the next step."""
        if overflow:
            return replace(self, value=max(self.value / self.factor, 1.0), clean_steps=0)
        if self.clean_steps + 1 >= self.window:
            return replace(self, value=self.value * self.factor, clean_steps=0)
        return replace(self, clean_steps=self.clean_steps + 1)


def _dynamic(config: ScaleSenseConfig) -> LossScale:
    return LossScale(config.loss_scale_value, config.scale_factor, config.scale_window)


def _fixed(config: ScaleSenseConfig) -> LossScale:
    return LossScale(config.loss_scale_value, 1, config.scale_window)


SCALES = {"DynamicLossScaleUpdateCell": _dynamic, "FixedLossScaleUpdateCell": _fixed}


def needs_loss_scale(model: ModelConfig) -> bool:
    """Whether gradients of this network pass through float16."""
    return "float16" in (model.compute_dtype, model.param_init_type)


def first_loss_scale(config: ScaleSenseConfig, model: ModelConfig) -> LossScale:
    """Return the scale of the first step: a constant 1 where no float16 is involved."""
    if not needs_loss_scale(model):
        return LossScale(1.0, 1, config.scale_window)
    return lookup(SCALES, config.type, "runner_wrapper.scale_sense.type")(config)
