"""Batches: every row once an epoch, the same for the same seed, resumable, divided among ranks."""

import numpy as np
import pytest

from mindcode.data.loader import RowLoader
from mindcode.utils.errors import UserError


class Numbers:
    """Row i is the number i, four times; it remembers what was read."""

    def __init__(self, count: int, columns: tuple[str, ...] = ("input_ids", "labels")) -> None:
        self.count, self.columns = count, columns
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def rows(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        self.read += indices.tolist()
        ids = np.repeat(indices[:, None], 4, axis=1).astype(np.int32)
        return {name: ids for name in self.columns}


def epoch_rows(loader: RowLoader, epoch: int, start_step: int = 0) -> list[list[int]]:
    return [batch.input_ids[:, 0].tolist() for batch in loader.batches(epoch, start_step)]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    loader = RowLoader(Numbers(12), 4, seed=1, shuffle=True, drop_remainder=True)
    first, second = epoch_rows(loader, 0), epoch_rows(loader, 1)
    assert sorted(flat(first)) == list(range(12)) == sorted(flat(second))
    assert first != second
    assert first == epoch_rows(RowLoader(Numbers(12), 4, seed=1, shuffle=True, drop_remainder=True), 0)
    assert first != epoch_rows(RowLoader(Numbers(12), 4, seed=2, shuffle=True, drop_remainder=True), 0)
    assert epoch_rows(RowLoader(Numbers(4), 2, seed=1, shuffle=False, drop_remainder=True), 7) == [[0, 1], [2, 3]]


def test_starting_late_gives_the_same_batches_and_reads_nothing_before() -> None:
    source = Numbers(40)
    loader = RowLoader(source, 4, seed=3, shuffle=True, drop_remainder=True)
    whole = epoch_rows(loader, 2)
    source.read.clear()
    assert epoch_rows(loader, 2, start_step=7) == whole[7:]
    assert len(source.read) == 12


def test_ranks_share_the_batches_of_one() -> None:
    alone = epoch_rows(RowLoader(Numbers(24), 4, seed=0, shuffle=True, drop_remainder=True), 0)
    sources = [Numbers(24), Numbers(24)]
    parts = [
        epoch_rows(RowLoader(sources[rank], 2, seed=0, shuffle=True, drop_remainder=True, rank=rank, world=2), 0)
        for rank in range(2)
    ]
    assert [first + second for first, second in zip(*parts, strict=True)] == alone
    assert len(sources[0].read) == 12, "each rank reads its own rows only"


def test_the_remainder_and_a_limit() -> None:
    assert RowLoader(Numbers(10), 4, seed=0, shuffle=True, drop_remainder=True).steps_per_epoch == 2
    kept = RowLoader(Numbers(10), 4, seed=0, shuffle=True, drop_remainder=False)
    assert (kept.steps_per_epoch, [len(rows) for rows in epoch_rows(kept, 0)]) == (3, [4, 4, 2])
    some = RowLoader(Numbers(10), 2, seed=0, shuffle=True, drop_remainder=True, num_samples=4)
    assert sorted(flat(epoch_rows(some, 0))) == [0, 1, 2, 3]


def test_ranks_share_the_remainder_as_far_as_it_goes() -> None:
    parts = [
        epoch_rows(RowLoader(Numbers(9), 2, seed=0, shuffle=False, drop_remainder=False, rank=rank, world=3), 0)
        for rank in range(3)
    ]
    assert parts == [[[0, 1], [6, 7]], [[2, 3], [8]], [[4, 5], []]]


def test_labels_are_optional() -> None:
    loader = RowLoader(Numbers(4, ("input_ids",)), 4, seed=0, shuffle=False, drop_remainder=True)
    assert next(loader.batches(0)).labels is None


def test_what_gives_no_batch_is_refused() -> None:
    with pytest.raises(UserError, match="3 rows do not fill one batch of 2 x 2 ranks"):
        RowLoader(Numbers(3), 2, seed=0, shuffle=True, drop_remainder=True, world=2)
    with pytest.raises(UserError, match="expected input_ids"):
        RowLoader(Numbers(5, ("labels",)), 2, seed=0, shuffle=True, drop_remainder=True)
