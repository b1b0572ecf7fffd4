"""The loss scale shrinks on overflow, grows after clean steps, and stays 1 without float16."""

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ScaleSenseConfig
from mindcode.training.loss_scale import LossScale, first_loss_scale

HALF = ModelConfig(compute_dtype="float16", param_init_type="float32")
SINGLE = ModelConfig(compute_dtype="float32", param_init_type="float32")


def test_overflow_halves_and_a_clean_window_doubles() -> None:
    scale = first_loss_scale(ScaleSenseConfig(scale_window=3), HALF)
    seen = []
    for overflow in (True, False, False, True, False, False, False, False):
        scale = scale.after(overflow)
        seen.append(scale.value)
    assert seen == [32768, 32768, 32768, 16384, 16384, 16384, 32768, 32768]


def test_it_never_falls_below_one() -> None:
    assert LossScale(1.0, 2, 1000).after(True).value == 1.0


def test_a_fixed_scale_stays() -> None:
    scale = first_loss_scale(
        ScaleSenseConfig(type="FixedLossScaleUpdateCell", loss_scale_value=128, scale_window=1), HALF
    )
    assert scale.after(False).value == scale.after(True).value == 128


def test_without_float16_there_is_no_scale() -> None:
    scale = first_loss_scale(ScaleSenseConfig(scale_window=1), SINGLE)
    assert scale.value == scale.after(False).value == 1.0
