"""MindSpore .ckpt files as a source: the weights of a checkpoint, without the optimizer's state beside them."""

from pathlib import Path

import numpy as np

from mindcode.checkpoint.ckpt_file import CkptEntry, Segment, scan_ckpt
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.names import translate
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.tensors import LazyTensor, read_span


def open_ckpt(path: Path) -> Source:
    """Open a .ckpt; entries that are no weights (moments, step, loss scale) are left out."""
    entries = [entry for entry in scan_ckpt(path) if translate(entry.name, "ours", "ours")]
    return Source(path, None, {entry.name: _lazy(path, entry) for entry in entries}, (), (path,))


def _lazy(path: Path, entry: CkptEntry) -> LazyTensor:
    storage = FORMATS[entry.dtype].storage
    columns = entry.shape[1:]
    row_bytes = storage.itemsize * int(np.prod(columns, dtype=np.int64))

    def read_rows(start: int, stop: int) -> np.ndarray:
        pieces = [
            read_span(path, segment.offset, segment.length)
            for segment in _overlap(entry.segments, start * row_bytes, stop * row_bytes)
        ]
        content = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return content.view(storage).reshape(stop - start, *columns)

    return LazyTensor(entry.name, entry.dtype, entry.shape, read_rows)


def _overlap(segments: tuple[Segment, ...], start: int, stop: int) -> list[Segment]:
    """The runs of the file that hold bytes [start, stop) of a tensor that lies in `segments`."""
    found = []
    begin = 0
    for offset, length in segments:
        first, last = max(start, begin), min(stop, begin + length)
        if first < last:
            found.append(Segment(offset + first - begin, last - first))
        begin += length
    return found
