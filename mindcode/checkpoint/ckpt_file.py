"""MindSpore's .ckpt files, read and written tensor by tensor without MindSpore.

    with CkptWriter(path) as writer:
        writer.add(TensorRecord("lm_head.weight", "Float32", array))
    for record in read_ckpt(path): ...

The format is a chain of protobuf messages
    Checkpoint{value=1 {tag=1 string; tensor=2 {dims=1 repeated int64; tensor_type=2 string; tensor_content=3 bytes}}}
one for each parameter; content above 512 MiB is cut into consecutive messages that repeat tag and dims. Scalars have no
dims, strings (type "str") hold UTF-32. A file may end with "crc_num" and ten bytes. The format has no table of contents
and no end, so a file cut between two messages looks whole; CkptWriter therefore puts a field that other readers
skip (number 15) in front and the number of tensors at the end, and the reader holds such files to that number.
"""

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.file_writer import FileWriter
from mindcode.checkpoint.wire import SPAN, Field, WireError, fields, integer_field, span_field, span_header, varints
from mindcode.utils.errors import UserError

SLICE_BYTES = 512 * 1024 * 1024
STRING = "str"
_VALUE, _MARK = 1, 15
_TAG, _TENSOR = 1, 2
_DIMS, _TYPE, _CONTENT = 1, 2, 3
_BEGIN, _END = b"mindcode", b"tensors:"
_CRC, _CRC_DIGITS = b"crc_num", 10


@dataclass(frozen=True)
class TensorRecord:
    """A parameter: its name, MindSpore's name of the format ("Float32", "BFloat16", "str", ...), and the numbers.

    bfloat16 is held as its bits in uint16, a string as a numpy array of shape () and kind U.
    """

    name: str
    dtype: str
    array: np.ndarray


class Segment(NamedTuple):
    """A run of bytes of the file."""

    offset: int
    length: int


class StoredCrc32(NamedTuple):
    """A checksum at the end of a file, of the `length` bytes before it."""

    length: int
    crc32: int


@dataclass(frozen=True)
class CkptEntry:
    """Where a parameter lies in the file: its shape and the runs of bytes that, joined, are its content."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    segments: tuple[Segment, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of content."""
        return sum(segment.length for segment in self.segments)


def scan_ckpt(path: Path) -> list[CkptEntry]:
    """List the parameters of a .ckpt file in file order, reading only the headers.

    Raises UserError for a missing, foreign or truncated file and for a parameter that occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty, expected a MindSpore .ckpt")
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        stop = len(buffer)
        tail = stop - _CRC_DIGITS - len(_CRC)
        if tail >= 0 and buffer[tail : tail + len(_CRC)] == _CRC:
            stop = tail
        try:
            return _scan(buffer, stop, path)
        except (WireError, UnicodeDecodeError) as error:
            place = f" (byte {error.position}: {error})" if isinstance(error, WireError) else ""
            raise UserError(f"{path}: truncated, or not a MindSpore .ckpt{place}; fetch or convert it again") from error


def is_marked(path: Path) -> bool:
    """Whether a file was written by CkptWriter."""
    mark = span_field(_MARK, _BEGIN)
    with open(path, "rb") as stream:
        return stream.read(len(mark)) == mark


def stored_crc32(path: Path) -> StoredCrc32 | None:
    """Return the checksum that MindSpore put at the end of a file; None when it put none."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        stream.seek(max(0, size - _CRC_DIGITS - len(_CRC)))
        tail = stream.read()
    if not tail.startswith(_CRC):
        return None
    return StoredCrc32(size - len(tail), int.from_bytes(tail[len(_CRC) :], "big"))


def read_ckpt(path: Path) -> Iterator[TensorRecord]:
    """Yield the parameters of a .ckpt file in file order, holding one at a time; raises UserError as `scan_ckpt`."""
    entries = scan_ckpt(path)
    with open(path, "rb") as stream:
        for entry in entries:
            yield TensorRecord(entry.name, entry.dtype, _read_entry(stream, entry, path))


def read_entry(path: Path, entry: CkptEntry) -> TensorRecord:
    """Read one parameter that `scan_ckpt` listed."""
    with open(path, "rb") as stream:
        return TensorRecord(entry.name, entry.dtype, _read_entry(stream, entry, path))


def _scan(buffer: mmap.mmap, stop: int, path: Path) -> list[CkptEntry]:
    entries: dict[str, CkptEntry] = {}
    last, marked, promised = "", False, -1
    for field in fields(buffer, 0, stop):
        if field.number == _MARK and field.kind == SPAN:
            mark = bytes(buffer[field.start : field.stop])
            marked = marked or mark == _BEGIN
            count = mark.removeprefix(_END)
            promised = int(count) if count != mark and count.isdigit() else promised
            continue
        if field.number != _VALUE or field.kind != SPAN:
            raise WireError(field.start, f"unknown field {field.number}")
        piece = _parse_value(buffer, field, path)
        if piece.name == last:
            piece = _joined(entries[last], piece, path)
        elif piece.name in entries:
            raise UserError(f"{path}: parameter {piece.name!r} occurs twice; keep one of them")
        entries[piece.name] = piece
        last = piece.name
    for entry in entries.values():
        _check_size(entry, path)
    if not entries or (marked and promised != len(entries)):
        wanted = f"{promised}" if promised >= 0 else "more"
        raise UserError(f"{path}: truncated: holds {len(entries)} parameters, {wanted} expected; convert it again")
    return list(entries.values())


def _parse_value(buffer: mmap.mmap, value: Field, path: Path) -> CkptEntry:
    name, tensor = "", None
    for field in fields(buffer, value.start, value.stop):
        if field.number == _TAG and field.kind == SPAN:
            name = bytes(buffer[field.start : field.stop]).decode()
        elif field.number == _TENSOR and field.kind == SPAN:
            tensor = field
    if not name:
        raise WireError(value.start, "a parameter without a name")
    if tensor is None:
        raise UserError(f"{path}: parameter {name!r} is not a tensor (a hash table?), which cannot be read here")
    dtype, shape, content = "", [], Segment(tensor.stop, 0)
    for field in fields(buffer, tensor.start, tensor.stop):
        if field.number == _DIMS:
            shape += list(varints(buffer, field.start, field.stop)) if field.kind == SPAN else [field.value]
        elif field.number == _TYPE and field.kind == SPAN:
            dtype = bytes(buffer[field.start : field.stop]).decode()
        elif field.number == _CONTENT and field.kind == SPAN:
            content = Segment(field.start, field.stop - field.start)
    if dtype not in FORMATS and dtype != STRING:
        raise UserError(f"{path}: parameter {name!r} has format {dtype!r} (known: {', '.join(FORMATS)})")
    return CkptEntry(name, dtype, () if shape == [0] else tuple(shape), (content,))


def _joined(head: CkptEntry, piece: CkptEntry, path: Path) -> CkptEntry:
    if (head.dtype, head.shape) != (piece.dtype, piece.shape):
        raise UserError(f"{path}: parameter {head.name!r} occurs twice, with different shapes; keep one of them")
    return CkptEntry(head.name, head.dtype, head.shape, head.segments + piece.segments)


def _check_size(entry: CkptEntry, path: Path) -> None:
    if entry.dtype == STRING:
        return
    expected = FORMATS[entry.dtype].storage.itemsize
    for length in entry.shape:
        expected *= length
    if len(entry.segments) > 1 and entry.nbytes == expected * len(entry.segments):
        raise UserError(f"{path}: parameter {entry.name!r} occurs twice; keep one of them")
    if entry.nbytes != expected:
        raise UserError(
            f"{path}: parameter {entry.name!r} has {entry.nbytes} bytes where {entry.dtype} {list(entry.shape)} needs "
            f"{expected}: truncated; fetch or convert it again"
        )


def _read_entry(stream: BufferedReader, entry: CkptEntry, path: Path) -> np.ndarray:
    content = np.empty(entry.nbytes, np.uint8)
    position = 0
    for offset, length in entry.segments:
        stream.seek(offset)
        if stream.readinto(content[position : position + length].data) != length:
            raise UserError(f"{path}: became shorter while it was read")
        position += length
    if entry.dtype == STRING:
        return np.array(content.tobytes().decode("utf-32-le"))
    return content.view(FORMATS[entry.dtype].storage).reshape(entry.shape)


class CkptWriter(FileWriter):
    """Writes a .ckpt file that appears, whole, when the `with` block ends without error.

    `add` takes a tensor at once; `begin` and then `write` take it in blocks, so that no tensor need fit in memory.
    """

    def __init__(self, path: Path, slice_bytes: int = SLICE_BYTES) -> None:
        super().__init__(path)
        self._slice_bytes = slice_bytes
        self.checksums: dict[str, int] = {}
        """The CRC-32 of the content of every tensor that was written."""
        self._name = ""
        self._tag = self._form = b""
        self._missing = 0
        self._missing_in_slice = 0

    def add(self, record: TensorRecord) -> None:
        """Write one tensor, scalar or string."""
        if record.dtype == STRING:
            content = np.frombuffer(str(record.array).encode("utf-32-le"), np.uint8)
            self._begin(record.name, STRING, (0,), len(content))
            self.write(content)
            return
        array = np.asarray(record.array, FORMATS[record.dtype].storage)
        self.begin(record.name, record.dtype, array.shape)
        self.write(array)

    def begin(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Start a tensor; the blocks that follow, joined, must have exactly its size."""
        size = FORMATS[dtype].storage.itemsize
        for length in shape:
            size *= length
        self._begin(name, dtype, shape, size)

    def write(self, block: np.ndarray) -> None:
        """Write the next block of the tensor that was begun."""
        content = np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
        if len(content) > self._missing:
            raise ValueError(f"{self.path}: {len(content)} bytes for a tensor that needs {self._missing} more")
        while len(content):
            if self._missing_in_slice == 0:
                self._start_slice()
            part = content[: self._missing_in_slice]
            self._put(part)
            self.checksums[self._name] = zlib.crc32(part, self.checksums[self._name])
            self._missing -= len(part)
            self._missing_in_slice -= len(part)
            content = content[len(part) :]

    def _begin(self, name: str, dtype: str, dims: tuple[int, ...], size: int) -> None:
        if self._missing:
            raise ValueError(f"{self.path}: {name!r} begins while the tensor before it needs {self._missing} bytes")
        if name in self.checksums or not name or size == 0:
            raise ValueError(f"{self.path}: parameter {name!r} is unnamed, empty or was already written")
        self._name, self.checksums[name] = name, 0
        self._tag = span_field(_TAG, name.encode())
        self._form = b"".join(integer_field(_DIMS, n) for n in dims) + span_field(_TYPE, dtype.encode())
        self._missing = size

    def _start_slice(self) -> None:
        length = min(self._missing, self._slice_bytes)
        content = span_header(_CONTENT, length)
        tensor = span_header(_TENSOR, len(self._form) + len(content) + length)
        value = span_header(_VALUE, len(self._tag) + len(tensor) + len(self._form) + len(content) + length)
        self._put(value + self._tag + tensor + self._form + content)
        self._missing_in_slice = length

    def _head(self) -> bytes:
        return span_field(_MARK, _BEGIN)

    def _tail(self) -> bytes:
        if self._missing:
            raise ValueError(f"{self.path}: the last tensor needs {self._missing} more bytes")
        return span_field(_MARK, _END + str(len(self.checksums)).encode())
