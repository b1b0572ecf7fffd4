"""Writes MindRecord files (format in mindrecord_format.py) that MindSpore's MindDataset reads; needs no MindSpore.

with MindRecordWriter(folder, "qa.mindrecord", 2, ("input_ids", "labels"), row_length=4097, kind="qa") as writer:
    writer.add([Column(ids, lengths, fill=0), Column(labels, lengths, fill=-100)])

Rows go to the shards in turn, so that shards are even and the same input always gives the same files. Names are stored
inside the files: write them under their final names in a temporary folder, then move them.
"""

import io
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.data.mindrecord_format import (
    CREATE_INDEX,
    CREATE_SHARD_NAME,
    HEADER_SIZE,
    INDEX_COLUMNS,
    PAGE_SIZE,
    RAW_ROW,
    Column,
    encode_header,
    join_row,
    pack_column,
)
from mindcode.utils.errors import UserError

MAX_SHARDS = 1000
_INSERT = f"INSERT INTO INDEXES VALUES({', '.join('?' * len(INDEX_COLUMNS))})"


def shard_names(name: str, shards: int) -> list[str]:
    """`name` alone, or `name0` … with as many digits as the last number needs. Raises UserError for too many shards."""
    if not 1 <= shards <= MAX_SHARDS:
        raise UserError(f"{shards} shards: a MindRecord set has 1 to {MAX_SHARDS}")
    if shards == 1:
        return [name]
    width = len(str(shards - 1))
    return [f"{name}{index:0{width}d}" for index in range(shards)]


@dataclass
class _Page:
    """A page that is being filled."""

    page_id: int
    type_id: int
    used: int = 0
    first_row: int = 0


class _ShardWriter:
    """One data file and its SQLite index; rows are indexed page by page, so memory does not grow with the file."""

    def __init__(self, path: Path, page_size: int) -> None:
        self.path, self.rows = path, 0
        self._page_size = page_size
        self._stream = io.BufferedWriter(io.FileIO(path, "wb"), 1 << 20)
        self._index = sqlite3.connect(f"{path}.db", isolation_level=None)
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", CREATE_INDEX, CREATE_SHARD_NAME):
            self._index.execute(statement)
        self._index.execute("INSERT INTO SHARD_NAME VALUES(?)", (path.name,))
        self._index.execute("BEGIN")
        self._pages: list[dict[str, Any]] = []
        self._blob = self._raw = _Page(-1, -1, used=page_size)
        self._blob_ends: list[int] = []

    def add(self, record: bytes) -> None:
        """Append one row."""
        full = self._blob.used + len(record) > self._page_size
        if full or len(self._blob_ends) >= self._page_size // len(RAW_ROW):
            self._finish_blob_page()
            self._blob = self._new_page(self._blob, "BLOB_DATA")
        self._stream.write(record)
        self._blob.used += len(record)
        self._blob_ends.append(self._blob.used)
        self.rows += 1

    def close(self, shard_id: int, common: dict[str, Any]) -> None:
        """Finish the last page, write the header, flush the index."""
        self._finish_blob_page()
        pages = [{**page, "shard_id": shard_id} for page in self._pages]
        header = encode_header({**common, "page": pages, "shard_id": shard_id})
        if len(header) > HEADER_SIZE:
            raise UserError(f"{self.path.name}: {len(pages)} pages are too many for one file; raise --file_partition")
        self._stream.seek(0)
        self._stream.write(header)
        self._index.execute("COMMIT")
        self.abandon()

    def abandon(self) -> None:
        """Close the files as they are."""
        self._index.close()
        self._stream.close()

    def _new_page(self, previous: _Page, page_type: str) -> _Page:
        page = _Page(len(self._pages), previous.type_id + 1, first_row=self.rows)
        self._pages.append({"page_id": page.page_id, "page_type": page_type, "page_type_id": page.type_id})
        self._stream.seek(HEADER_SIZE + self._page_size * page.page_id)
        return page

    def _finish_blob_page(self) -> None:
        """Describe the page in the header, give its rows their place in a RAW page, and index them."""
        blob, count = self._blob, len(self._blob_ends)
        if not count:
            return
        group = [{"id": 0, "offset": 0}]
        self._describe(blob, row_group_ids=group, start_row_id=blob.first_row, end_row_id=self.rows)
        raw_start = self._add_raw_rows(count, blob.type_id)
        raw_ends = range(raw_start + len(RAW_ROW), raw_start + (count + 1) * len(RAW_ROW), len(RAW_ROW))
        starts, raw_starts = [0, *self._blob_ends[:-1]], range(raw_start, raw_ends.stop, len(RAW_ROW))
        places = zip(raw_starts, raw_ends, starts, self._blob_ends, strict=False)
        rows = (
            (row, self._raw.page_id, raw, raw_end, blob.type_id, blob.page_id, start, end)
            for row, (raw, raw_end, start, end) in enumerate(places, blob.first_row)
        )
        self._index.executemany(_INSERT, rows)
        self._blob_ends.clear()

    def _add_raw_rows(self, count: int, group_id: int) -> int:
        """Write the RAW rows of one BLOB page; return their offset in the RAW page."""
        content = RAW_ROW * count
        if self._raw.used + len(content) > self._page_size:
            self._raw = self._new_page(self._raw, "RAW_DATA")
            self._describe(self._raw, row_group_ids=[], start_row_id=0, end_row_id=0)
        raw, start = self._raw, self._raw.used
        self._stream.seek(HEADER_SIZE + self._page_size * raw.page_id + start)
        self._stream.write(content)
        raw.used += len(content)
        groups = [*self._pages[raw.page_id]["row_group_ids"], {"id": group_id, "offset": start}]
        self._describe(raw, row_group_ids=groups, start_row_id=0, end_row_id=0)
        return start

    def _describe(self, page: _Page, row_group_ids: list[dict[str, int]], start_row_id: int, end_row_id: int) -> None:
        self._pages[page.page_id].update(
            page_size=page.used, row_group_ids=row_group_ids, start_row_id=start_row_id, end_row_id=end_row_id
        )


class MindRecordWriter:
    """A set of shards with equal rows of int32 columns."""

    def __init__(
        self, folder: Path, name: str, shards: int, columns: Sequence[str], row_length: int, kind: str
    ) -> None:
        """`kind` is the schema's description (MindFormers writes the dataset type there)."""
        self.names = shard_names(name, shards)
        self.rows = 0
        self._columns, self._kind, self._row_length = tuple(columns), kind, row_length
        self._packed_bytes = 0
        self._page_size = max(PAGE_SIZE, 1 << (len(columns) * (6 * row_length + 64)).bit_length())
        self._shards = [_ShardWriter(folder / shard, self._page_size) for shard in self.names]

    def add(self, columns: Sequence[Column]) -> None:
        """Append rows; the columns come in the order given at the beginning and describe the same rows."""
        packed = [pack_column(column, self._row_length) for column in columns]
        for arrays in zip(*packed, strict=True):
            self._packed_bytes += sum(map(len, arrays))
            self._shards[self.rows % len(self._shards)].add(join_row(arrays))
            self.rows += 1

    def close(self) -> None:
        """Complete all files."""
        fields = {name: {"shape": [-1], "type": "int32"} for name in self._columns}
        common = {
            "header_size": HEADER_SIZE,
            "index_fields": None,
            "page_size": self._page_size,
            "compression_size": self.rows * self._row_length * 4 * len(self._columns) - self._packed_bytes,
            "schema": [{"blob_fields": list(self._columns), "desc": self._kind, "schema": fields}],
            "shard_addresses": self.names,
            "statistics": None,
            "version": "3.0",
        }
        for shard_id, shard in enumerate(self._shards):
            shard.close(shard_id, common)

    def __enter__(self) -> "MindRecordWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            for shard in self._shards:
                shard.abandon()
