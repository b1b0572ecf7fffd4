"""Steps, epochs and the state between steps."""

import pytest

from mindcode.config.schema import RunnerConfig
from mindcode.training.loss_scale import LossScale
from mindcode.training.progress import RunLength, TrainState
from mindcode.utils.errors import UserError


def test_incomplete_steps_are_left_out() -> None:
    length = RunLength.of(RunnerConfig(epochs=2), micro_batches_per_epoch=11, micro_batches_per_step=4)
    assert (length.steps_per_epoch, length.total_steps, length.epochs) == (2, 4, 2)
    assert [tuple(length.position(step)) for step in (1, 2, 3, 4)] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_max_steps_ends_the_run_early() -> None:
    length = RunLength.of(RunnerConfig(epochs=5, max_steps=3), 2, 1)
    assert (length.total_steps, length.epochs) == (3, 2)


def test_in_sink_mode_the_total_is_a_multiple_of_sink_size() -> None:
    assert RunLength.of(RunnerConfig(epochs=3, sink_mode=True, sink_size=4), 7, 1).total_steps == 20
    assert RunLength.of(RunnerConfig(epochs=3, sink_mode=False, sink_size=4), 7, 1).total_steps == 21
    assert RunLength.of(RunnerConfig(epochs=1, sink_mode=True, sink_size=9), 7, 1).total_steps == 7


def test_too_little_data_for_one_step_is_said() -> None:
    with pytest.raises(UserError, match="3 micro-batches do not fill one step of 4"):
        RunLength.of(RunnerConfig(), 3, 4)


def test_a_skipped_step_counts_as_a_step_but_not_as_an_update() -> None:
    state = TrainState(LossScale(8.0, 2, 1000)).after(skipped=False).after(skipped=True)
    assert (state.step, state.updates, state.loss_scale.value) == (2, 1, 4.0)
