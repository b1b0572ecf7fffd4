"""After which steps the loss is measured and benchmarks are put to the network."""

import dataclasses

import pytest

from mindcode.config.harness import HarnessConfig
from mindcode.config.schema import RunConfig
from mindcode.training.cadence import is_evaluated, is_measured
from mindcode.training.progress import RunLength

LENGTH = RunLength(steps_per_epoch=5, total_steps=23)
CONFIG = RunConfig(do_eval=True, eval_step_interval=4, eval_epoch_interval=2)


def test_the_loss_is_measured_by_step_by_epoch_and_at_the_end() -> None:
    assert [step for step in range(1, 24) if is_measured(CONFIG, LENGTH, step)] == [4, 8, 10, 12, 16, 20, 23]


@pytest.mark.parametrize(
    ("harness", "expected"),
    [
        (HarnessConfig(), [4, 8, 10, 12, 16, 20, 23]),
        (HarnessConfig(every_n_vals=3), [10, 20, 23]),
        (HarnessConfig(every_n_vals=0), [23]),
        (HarnessConfig(every_n_vals=0, every_n_steps=7), [7, 14, 21, 23]),
        (HarnessConfig(every_n_vals=3, every_n_steps=7), [7, 10, 14, 20, 21, 23]),
    ],
)
def test_benchmarks_follow_measurements_steps_and_the_end(harness: HarnessConfig, expected: list[int]) -> None:
    assert [step for step in range(0, 24) if is_evaluated(harness, CONFIG, LENGTH, step)] == expected


def test_without_measurements_only_steps_and_the_end_count() -> None:
    config = dataclasses.replace(CONFIG, do_eval=False)
    assert [step for step in range(0, 24) if is_evaluated(HarnessConfig(), config, LENGTH, step)] == [23]
