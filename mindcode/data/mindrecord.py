"""Reads MindRecord 3.0 files, ours and MindSpore's, without MindSpore: any row at any time, by memory map.

reader = MindRecordReader(Path("dataset/wiki4096.mindrecord"))
reader.rows(np.array([0, 7]))["input_ids"]  # [2, 4097] int32
"""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from mindcode.data.mindrecord_format import split_row, unpack_array
from mindcode.utils.errors import UserError

_QUERY = "SELECT PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END FROM INDEXES ORDER BY ROW_ID"
_INTEGER_TYPES = ("int32", "int64")


class _Shard:
    """One data file: its mapped bytes and where each of its rows lies."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        schema = header["schema"][0]
        self.columns = tuple(schema["blob_fields"])
        for name in self.columns:
            if schema["schema"][name]["type"] not in _INTEGER_TYPES:
                raise UserError(f"{path}: column {name} is {schema['schema'][name]['type']}; expected int32 arrays")
        index = _read_index(path)
        pages = int(header["header_size"]) + index[:, 0] * int(header["page_size"])
        self.starts, self.ends = pages + index[:, 1], pages + index[:, 2]
        size = path.stat().st_size
        if len(index) and int(self.ends.max()) > size:
            raise UserError(f"{path}: cut off at {size} bytes of {int(self.ends.max())}; write the dataset again")
        self._bytes = np.memmap(path, np.uint8, "r")

    def row(self, index: int) -> list[np.ndarray]:
        """The columns of one row."""
        record = self._bytes[self.starts[index] : self.ends[index]]
        try:
            return [unpack_array(np.asarray(array)) for array in split_row(record, len(self.columns))]
        except (ValueError, IndexError) as error:
            raise UserError(f"{self.path}: row {index} is damaged ({error}); write the dataset again") from error


class MindRecordReader:
    """Rows of a MindRecord set, given as one of its files (which names the others) or as the folder that holds it."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        files = _data_files(self.path)
        self._shards = [_Shard(file, read_header(file)) for file in files]
        self.files = files
        self.columns = self._shards[0].columns
        for shard in self._shards:
            if shard.columns != self.columns:
                raise UserError(f"{shard.path}: columns {shard.columns}, but {files[0].name} has {self.columns}")
        self._ends = np.cumsum([len(shard.starts) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def row_length(self) -> int:
        """Values in a row (seq_length + 1)."""
        if len(self) == 0:
            raise UserError(f"{self.path}: no rows")
        return len(self._row(0)[0])

    def rows(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Return each column as [len(indices), row_length] int32; shards follow one another by name.

        Raises UserError when rows differ in length, IndexError for an index beyond the end.
        """
        rows = [self._row(int(index)) for index in indices]
        lengths = {len(array) for row in rows for array in row}
        if len(lengths) > 1:
            raise UserError(f"{self.path}: rows of different lengths ({min(lengths)} to {max(lengths)})")
        return {name: np.array([row[i] for row in rows], np.int32) for i, name in enumerate(self.columns)}

    def _row(self, index: int) -> list[np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        shard = int(np.searchsorted(self._ends, index, side="right"))
        first = int(self._ends[shard - 1]) if shard else 0
        return self._shards[shard].row(index - first)


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON header of a data file; raises UserError when it is not a MindRecord file."""
    foreign = UserError(f"{path}: not a MindRecord file")
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length < size:
            raise foreign
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise foreign from error
    if not isinstance(header, dict) or not {"header_size", "page_size", "schema", "shard_addresses"} <= header.keys():
        raise foreign
    return header


def _read_index(path: Path) -> np.ndarray:
    """[rows, 3]: page, first byte and end of each row in its page."""
    database = path.with_name(f"{path.name}.db")
    if not database.is_file():
        raise UserError(f"{path}: its index {database.name} is missing; a MindRecord file and its .db belong together")
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute(_QUERY).fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise UserError(f"{database}: not a MindRecord index ({error})") from error
    return np.array(rows, np.int64).reshape(-1, 3)


def _data_files(path: Path) -> list[Path]:
    """The set that a file belongs to, or every set in a folder, in order of shard."""
    if path.is_dir():
        found = [file for file in sorted(path.iterdir()) if file.with_name(f"{file.name}.db").is_file()]
        if not found:
            raise UserError(f"{path}: no MindRecord files (X.mindrecord with X.mindrecord.db) in this folder")
        return sorted(found, key=_natural)
    if not path.is_file():
        raise UserError(f"{path}: no such MindRecord file or folder{_first_shard_hint(path)}")
    names = read_header(path)["shard_addresses"]
    files = [path.parent / Path(name).name for name in names]
    if path not in files:
        raise UserError(f"{path}: was written as {', '.join(names[:3])}; MindRecord files cannot be renamed")
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: missing; it belongs to the same set as {path.name}")
    return files


def _first_shard_hint(path: Path) -> str:
    first = sorted(path.parent.glob(f"{path.name}[0-9]*"), key=_natural)
    return f"; did you mean {first[0].name}?" if first else ""


def _natural(path: Path) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
