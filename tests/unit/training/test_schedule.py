"""Learning rates by step, against numbers worked out by hand from the formula."""

import math

import pytest

from mindcode.config.schema import LRScheduleConfig
from mindcode.training.schedule import Schedule
from mindcode.utils.errors import UserError


def rates(config: LRScheduleConfig, run_steps: int, peak: float = 1.0) -> list[float]:
    schedule = Schedule.of(config, peak, run_steps)
    return [schedule(step) for step in range(run_steps + 2)]


def test_cosine_warms_up_linearly_and_ends_at_lr_end() -> None:
    found = rates(LRScheduleConfig(lr_end=0.2, warmup_ratio=0.25), 8)
    quarter = 0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 6))
    assert found[:4] == pytest.approx([0.0, 0.5, 1.0, quarter])
    assert found[5] == pytest.approx(0.6)
    assert found[8:] == [0.2, 0.2]


def test_linear_and_constant() -> None:
    linear = LRScheduleConfig(type="LinearWithWarmUpLR", warmup_ratio=None, warmup_steps=2, warmup_lr_init=0.5)
    assert rates(linear, 6) == pytest.approx([0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
    assert rates(LRScheduleConfig(type="ConstantWarmUpLR", warmup_ratio=0.0), 2) == [1.0] * 4


def test_total_steps_may_differ_from_the_run() -> None:
    assert rates(LRScheduleConfig(warmup_ratio=0.0, total_steps=4), 2)[2] == pytest.approx(0.5)


def test_warmup_is_rounded_down_as_in_mindformers() -> None:
    assert Schedule.of(LRScheduleConfig(warmup_ratio=0.03), 1.0, 99).warmup_steps == 2


def test_an_unknown_curve_is_named() -> None:
    with pytest.raises(UserError, match=r"CosineWithWarmupLR.*did you mean CosineWithWarmUpLR"):
        Schedule.of(LRScheduleConfig(type="CosineWithWarmupLR"), 1.0, 10)
