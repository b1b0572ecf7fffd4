"""Several conversations in one row: first fit, the longest of each batch first, into a bounded number of open rows.

The result depends only on the order of the input. Attention is causal over the whole row: a conversation sees those
packed before it; its own first token is never a target.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mindcode.data.mindrecord_format import Column
from mindcode.data.qa import IGNORE, QaRows

MAX_OPEN_ROWS = 128


@dataclass
class _OpenRow:
    """A row that still has `free` places."""

    free: int
    ids: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)


class Packer:
    """Collects conversations into rows of `row_length` tokens and hands rows out as they fill up."""

    def __init__(self, row_length: int, pad_id: int) -> None:
        self._row_length, self._pad_id = row_length, pad_id
        self._open: list[_OpenRow] = []

    def add(self, rows: QaRows) -> list[Column]:
        """Place a batch; return the columns of the rows that were closed."""
        starts = np.cumsum(rows.lengths) - rows.lengths
        closed: list[_OpenRow] = []
        for index in np.argsort(-rows.lengths, kind="stable"):
            place = slice(int(starts[index]), int(starts[index] + rows.lengths[index]))
            closed += self._place(rows.ids[place], rows.labels[place])
        return self._columns(closed)

    def rest(self) -> list[Column]:
        """Close all rows; return their columns."""
        closed, self._open = self._open, []
        return self._columns(closed)

    def _place(self, ids: np.ndarray, labels: np.ndarray) -> Iterator[_OpenRow]:
        row = next((row for row in self._open if row.free >= len(ids)), None)
        if row is None:
            if len(self._open) == MAX_OPEN_ROWS:
                fullest = min(range(MAX_OPEN_ROWS), key=lambda index: self._open[index].free)
                yield self._open.pop(fullest)
            row = _OpenRow(self._row_length)
            self._open.append(row)
        row.ids.append(ids)
        row.labels.append(labels)
        row.free -= len(ids)

    def _columns(self, rows: list[_OpenRow]) -> list[Column]:
        lengths = np.array([self._row_length - row.free for row in rows], np.int64)
        nothing = [np.empty(0, np.int32)]
        ids = np.concatenate([*nothing, *(part for row in rows for part in row.ids)])
        labels = np.concatenate([*nothing, *(part for row in rows for part in row.labels)])
        return [Column(ids, lengths, self._pad_id), Column(labels, lengths, IGNORE)]
