"""Packing keeps every conversation whole and the open rows few."""

import numpy as np

from mindcode.data.packing import MAX_OPEN_ROWS, Packer
from mindcode.data.qa import QaRows


def batch(lengths: list[int], first: int) -> QaRows:
    """Conversation k consists of the number first + k, repeated."""
    ids = np.repeat(np.arange(first, first + len(lengths), dtype=np.int32), lengths)
    return QaRows(ids, -ids, np.array(lengths, np.int64), (), (), 0)


def test_every_conversation_comes_out_whole_once() -> None:
    rng = np.random.default_rng(0)
    packer = Packer(100, pad_id=0)
    rows, lengths_in = [], []
    for number in range(20):
        lengths = rng.integers(1, 101, 256).tolist()
        ids, labels = packer.add(batch(lengths, first=1 + len(lengths_in)))
        lengths_in += lengths
        rows.append((ids, labels))
        assert len(packer._open) <= MAX_OPEN_ROWS, number
    rows.append(tuple(packer.rest()))
    seen: list[int] = []
    for ids, labels in rows:
        np.testing.assert_array_equal(labels.values, -ids.values)
        assert (ids.fill, labels.fill) == (0, -100)
        for row in np.split(ids.values, np.cumsum(ids.lengths)[:-1]) if len(ids.lengths) else []:
            assert len(row) <= 100
            numbers, counts = np.unique(row, return_counts=True)
            assert [lengths_in[number - 1] for number in numbers] == counts.tolist()
            seen += numbers.tolist()
    assert sorted(seen) == list(range(1, len(lengths_in) + 1))
    places = 100 * sum(len(ids.lengths) for ids, _ in rows)
    assert sum(lengths_in) / places > 0.95


def test_first_fit_longest_first() -> None:
    packer = Packer(10, pad_id=0)
    packer.add(batch([3, 6, 4, 7], first=1))
    ids, _ = packer.rest()
    assert ids.lengths.tolist() == [10, 10]
    assert ids.values.tolist() == [4] * 7 + [1] * 3 + [2] * 6 + [3] * 4
