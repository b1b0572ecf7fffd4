"""MindRecord 3.0, the bytes: file header, row records, and the packing of int32 arrays into as few bytes as they need.

A data file is a header area (u64 length, JSON) and pages of equal size. BLOB pages hold rows, RAW pages hold 13 bytes
a row for the columns that are not arrays (there are none here). A row is a u64 length and, for each array column, the
packed array, preceded by its length as a big-endian u64 when the row has several columns. A packed array is a
big-endian u32 count, two bits a value for its width (0 to 3: 1, 2, 4, 8 bytes), then the values, signed, little-endian.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADER_SIZE = 4 << 20
PAGE_SIZE = 4 << 20
RAW_ROW = struct.pack("<Q", 5) + b"\x81\xa2id\x00"
INDEX_COLUMNS = (
    "ROW_ID",
    "PAGE_ID_RAW",
    "PAGE_OFFSET_RAW",
    "PAGE_OFFSET_RAW_END",
    "ROW_GROUP_ID",
    "PAGE_ID_BLOB",
    "PAGE_OFFSET_BLOB",
    "PAGE_OFFSET_BLOB_END",
)
CREATE_INDEX = (
    f"CREATE TABLE INDEXES({', '.join(f'{name} INT NOT NULL' for name in INDEX_COLUMNS)}, PRIMARY KEY(ROW_ID))"
)
CREATE_SHARD_NAME = "CREATE TABLE SHARD_NAME(NAME TEXT NOT NULL)"
_CODE_SHIFTS = np.array([64, 16, 4, 1], np.uint8)
_WIDTHS_OF_BYTE = (1 << ((np.arange(256)[:, None] >> np.array([6, 4, 2, 0])) & 3)).astype(np.uint8)


@dataclass(frozen=True)
class Column:
    """Rows of one column: row i is the next `lengths[i]` values, then `fill` up to the row length."""

    values: np.ndarray
    lengths: np.ndarray
    fill: int


def pack_column(column: Column, row_length: int) -> list[bytes]:
    """Pack each row of `row_length` int32 values; the fill must fit into one byte."""
    values = np.ascontiguousarray(column.values, dtype="<i4")
    codes = ((values < -128) | (values > 127)).astype(np.uint8)
    codes += (values < -32768) | (values > 32767)
    data = values.view(np.uint8).reshape(-1, 4)[_kept_bytes(codes)].tobytes()
    value_ends = np.cumsum(column.lengths)
    byte_ends = np.cumsum(np.concatenate([[0], 1 << codes.astype(np.int64)]))[value_ends].tolist()
    head, code_size = struct.pack(">I", row_length), -(-row_length // 4)
    packed_codes = _pack_codes(codes, column.lengths)
    fill = struct.pack("<b", column.fill)
    rows, start = [], 0
    for length, end, code_row in zip(column.lengths.tolist(), byte_ends, packed_codes, strict=True):
        code_bytes = code_row[:code_size].tobytes().ljust(code_size, b"\x00")
        rows.append(head + code_bytes + data[start:end] + fill * (row_length - length))
        start = end
    return rows


def _kept_bytes(codes: np.ndarray) -> np.ndarray:
    """[n, 4] booleans: which bytes of a little-endian int32 are written for each width code."""
    kept = np.empty((len(codes), 4), bool)
    kept[:, 0] = True
    kept[:, 1] = codes > 0
    kept[:, 2] = kept[:, 3] = codes > 1
    return kept


def _pack_codes(codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """[rows, bytes]: four width codes a byte, as many bytes as the longest row has values to describe."""
    longest = -(-int(lengths.max(initial=0)) // 4) * 4
    dense = np.zeros((len(lengths), longest), np.uint8)
    dense[np.arange(longest) < lengths[:, None]] = codes
    return (dense.reshape(len(lengths), longest // 4, 4) * _CODE_SHIFTS).sum(axis=2, dtype=np.uint8)


def unpack_array(data: np.ndarray) -> np.ndarray:
    """[count] int64 values of one packed array, given as bytes."""
    count = int.from_bytes(data[:4].tobytes(), "big")
    code_end = 4 + -(-count // 4)
    widths = _WIDTHS_OF_BYTE[data[4:code_end]].reshape(-1)[:count]
    ends = np.cumsum(widths, dtype=np.int64)
    starts = code_end + ends - widths
    if len(data) != code_end + (int(ends[-1]) if count else 0):
        raise ValueError(f"{len(data)} bytes do not hold an array of {count} values")
    values = np.empty(count, np.int64)
    for width in (1, 2, 4, 8):
        chosen = np.flatnonzero(widths == width)
        if len(chosen):
            values[chosen] = data[starts[chosen, None] + np.arange(width)].view(f"<i{width}")[:, 0]
    return values


def join_row(arrays: Sequence[bytes]) -> bytes:
    """One row record of a BLOB page."""
    if len(arrays) > 1:
        arrays = [part for array in arrays for part in (struct.pack(">Q", len(array)), array)]
    return struct.pack("<Q", sum(map(len, arrays))) + b"".join(arrays)


def split_row(record: np.ndarray, columns: int) -> list[np.ndarray]:
    """The packed arrays of a row record."""
    if columns == 1:
        return [record[8:]]
    arrays, position = [], 8
    for _ in range(columns):
        length = int.from_bytes(record[position : position + 8].tobytes(), "big")
        arrays.append(record[position + 8 : position + 8 + length])
        position += 8 + length
    return arrays


def encode_header(header: dict[str, Any]) -> bytes:
    """The header area's beginning."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text
