"""Weights and training state go to a file and come back, and nothing that does not fit is accepted."""

from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.runs import Checkpoint
from mindcode.training.loss_scale import LossScale
from mindcode.training.optim import FIRST, MASTER, SECOND
from mindcode.training.progress import TrainState
from mindcode.training.snapshot import (
    Layout,
    finished_steps,
    load_run,
    load_weights,
    shard_records,
    state_records,
)
from mindcode.utils.errors import UserError

STATE = TrainState(LossScale(512.0, 2, 1000, clean_steps=3), step=17, updates=15)
START = TrainState(LossScale(65536.0, 2, 1000))


def parameters(value: float, dtype: ms.Type = ms.float32) -> list[Parameter]:
    shapes = {"model.a.weight": (2, 3), "model.b.weight": (3,)}
    weights = [Parameter(Tensor(np.full(shape, value), dtype), name=name) for name, shape in shapes.items()]
    moments = [
        Parameter(Tensor(np.full(shape, value + 1), ms.float32), name=f"{prefix}.{name}")
        for prefix in ("adam_m", "adam_v")
        for name, shape in shapes.items()
    ]
    return [*weights, *moments]


def write(path: Path, *records: TensorRecord) -> Checkpoint:
    with CkptWriter(path) as writer:
        for record in records:
            writer.add(record)
    return open_checkpoint(path)


def tensors(parameters: Sequence[Parameter]) -> list[TensorRecord]:
    records = shard_records(parameters, Layout.whole(parameters))
    return [TensorRecord(record.name, record.dtype, record.read()) for record in records]


def whole(path: Path, dtype: ms.Type = ms.float32) -> Checkpoint:
    return write(path, *state_records(STATE, Position(2, 7), 4), *tensors(parameters(0.5, dtype)))


@pytest.mark.parametrize("dtype", [ms.float32, ms.float16])
def test_a_run_comes_back_as_it_was(tmp_path: Path, dtype: ms.Type) -> None:
    checkpoint, target = whole(tmp_path / "x.ckpt", dtype), parameters(9, dtype)
    assert finished_steps(checkpoint) == 17
    assert load_run(checkpoint, target, Layout.whole(target), START, rows_per_step=4) == STATE
    for parameter, expected in zip(target, parameters(0.5, dtype), strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), expected.asnumpy())


def test_weights_alone_can_be_taken_out_of_a_run(tmp_path: Path) -> None:
    weights = parameters(9)[:2]
    load_weights(whole(tmp_path / "x.ckpt"), weights, Layout.whole(weights))
    assert all((parameter.asnumpy() == 0.5).all() for parameter in weights)


def test_bfloat16_weights_load_into_float32(tmp_path: Path) -> None:
    records = [TensorRecord(p.name, "BFloat16", np.full(p.shape, 0x3FC0, np.uint16)) for p in parameters(0)[:2]]
    weights = parameters(9)[:2]
    load_weights(write(tmp_path / "x.ckpt", *records), weights, Layout.whole(weights))
    assert (weights[0].asnumpy() == 1.5).all()


def test_what_does_not_fit_is_listed_in_one_line(tmp_path: Path) -> None:
    checkpoint = write(
        tmp_path / "x.ckpt",
        TensorRecord("model.a.weight", "Float32", np.zeros((3, 2), np.float32)),
        TensorRecord("model.c.weight", "Float32", np.zeros(1, np.float32)),
    )
    weights = parameters(9)[:2]
    with pytest.raises(UserError) as error:
        load_weights(checkpoint, weights, Layout.whole(weights))
    assert str(error.value) == (
        f"{checkpoint.path}: does not fit model.model_config: 1 missing (model.b.weight); "
        "1 not in this model (model.c.weight); "
        "1 of another shape (model.a.weight [3, 2], expected [2, 3])"
    )
    assert (weights[0].asnumpy() == 9).all()


def test_weights_without_a_state_cannot_be_resumed(tmp_path: Path) -> None:
    checkpoint, target = write(tmp_path / "x.ckpt", *tensors(parameters(1)[:2])), parameters(9)
    with pytest.raises(UserError, match="holds weights only"):
        load_run(checkpoint, target, Layout.whole(target), START, 4)
    with pytest.raises(UserError, match="no global_step"):
        finished_steps(checkpoint)


def test_another_batch_size_is_refused(tmp_path: Path) -> None:
    target = parameters(9)
    with pytest.raises(UserError, match="trained with 4 rows a step, now 8"):
        load_run(whole(tmp_path / "x.ckpt"), target, Layout.whole(target), START, 8)


def test_what_the_optimizer_calls_its_state_is_what_resharding_expects() -> None:
    assert (f"{FIRST}.", f"{SECOND}.", f"{MASTER}.") == STATE_PREFIXES
