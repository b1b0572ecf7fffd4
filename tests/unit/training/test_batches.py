"""Rows become inputs and targets; steps find their rows from any point of the run."""

import numpy as np
import pytest
from helpers.training import tiny_model

from mindcode.data.loader import Batch, RowLoader
from mindcode.training.batches import StepBatches, counted_tokens, fill_up, split_rows
from mindcode.utils.errors import UserError

MODEL = tiny_model()


class Rows:
    """Ten rows; row i holds i + 1 throughout."""

    columns = ("input_ids",)

    def __len__(self) -> int:
        return 10

    def rows(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        return {"input_ids": np.repeat(indices[:, None] + 1, MODEL.seq_length + 1, axis=1).astype(np.int32)}


def counting(rows: int) -> np.ndarray:
    return np.arange(1, 1 + rows * (MODEL.seq_length + 1), dtype=np.int32).reshape(rows, -1)


def test_labels_are_the_next_tokens() -> None:
    ids = counting(2)
    batch = split_rows(Batch(ids, None), ["input_ids"], MODEL)
    np.testing.assert_array_equal(batch.input_ids, ids[:, :-1])
    np.testing.assert_array_equal(batch.labels, ids[:, 1:])


def test_a_labels_column_is_used_only_when_asked_for() -> None:
    ids, labels = counting(1), np.full((1, MODEL.seq_length + 1), -100, np.int32)
    assert (split_rows(Batch(ids, labels), ["input_ids", "labels"], MODEL).labels == -100).all()
    assert (split_rows(Batch(ids, labels), ["input_ids"], MODEL).labels == ids[:, 1:]).all()


@pytest.mark.parametrize(
    ("ids", "columns", "message"),
    [
        (counting(1), ["input_ids", "labels"], "input_columns: names labels"),
        (counting(1)[:, :-1], ["input_ids"], "seq_length: 12, but the dataset's rows have 12 tokens"),
        (counting(1) + 30, ["input_ids"], "vocab_size: 37, but the dataset holds token 43"),
    ],
)
def test_rows_that_do_not_fit_are_refused(ids: np.ndarray, columns: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_rows(Batch(ids, None), columns, MODEL)


def test_starting_late_gives_the_same_steps() -> None:
    loader = RowLoader(Rows(), 2, seed=5, shuffle=True, drop_remainder=True)
    batches = StepBatches(loader, ["input_ids"], MODEL, micro_batches=2, steps_per_epoch=2)

    def first_ids(start: int, count: int) -> list[list[int]]:
        steps = batches.from_step(start)
        return [[int(i) for micro in next(steps) for i in micro.input_ids[:, 0]] for _ in range(count)]

    whole = first_ids(0, 6)
    for start in range(6):
        assert first_ids(start, 6 - start) == whole[start:]
    assert whole[0] != whole[2]  # another epoch, another order


def test_filled_rows_have_no_loss() -> None:
    batch = split_rows(Batch(counting(1), None), ["input_ids"], MODEL)
    filled = fill_up(batch, 3, MODEL)
    assert filled.input_ids.shape == filled.labels.shape == (3, MODEL.seq_length)
    assert counted_tokens(filled, MODEL) == counted_tokens(batch, MODEL) == MODEL.seq_length
