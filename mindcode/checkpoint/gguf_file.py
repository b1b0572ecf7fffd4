"""The GGUF container: its metadata and where its tensors lie, read without mapping or copying the tensors.

Little-endian: "GGUF", version, number of tensors, number of metadata pairs; the pairs (name, type, value); for each
tensor its name, dimensions (fastest first), type and offset; padding; the bytes of the tensors. The `gguf` package
supplies the sizes of quantised blocks and their arithmetic.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from mindcode.utils.errors import UserError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_LIMIT = 1 << 31


class GgufTensor(NamedTuple):
    """A tensor: its shape (rows first), the number of its ggml type, and where its bytes begin in the file."""

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int


@dataclass(frozen=True)
class GgufFile:
    """Everything but the numbers of the tensors."""

    path: Path
    metadata: dict[str, Any]
    tensors: tuple[GgufTensor, ...]


class _Reader:
    """Reads the primitive values one after another."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path

    def take(self, count: int) -> bytes:
        content = self._stream.read(count) if count < _LIMIT else b""
        if len(content) < count:
            raise UserError(f"{self._path}: truncated in its header; fetch it again")
        return content

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            raise UserError(f"{self._path}: unknown metadata type {kind}; fetch it again or update mindcode")
        inner, count = self.number("I"), self.number("Q")
        if inner in _SCALARS:
            form = np.dtype(_SCALARS[inner]).newbyteorder("<")
            return np.frombuffer(self.take(count * form.itemsize), form).tolist()
        read: Callable[[], Any] = self.text if inner == _STRING else lambda: self.value(inner)
        return [read() for _ in range(count)]


def read_gguf(path: Path) -> GgufFile:
    """Read the metadata and the list of tensors; raises UserError for a foreign or truncated file."""
    with open(path, "rb") as stream:
        reader = _Reader(stream, path)
        if stream.read(4) != _MAGIC:
            raise UserError(f"{path}: not a GGUF file")
        version = reader.number("I")
        if version not in _VERSIONS:
            raise UserError(f"{path}: GGUF version {version} cannot be read (known: 2, 3, little-endian)")
        tensor_count, pair_count = reader.number("Q"), reader.number("Q")
        metadata: dict[str, Any] = {}
        for _ in range(pair_count):
            key = reader.text()
            metadata[key] = reader.value(reader.number("I"))
        tensors = [_tensor(reader) for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise UserError(f"{path}: general.alignment is {alignment!r}, expected a number of bytes; fetch it again")
        start = -(-stream.tell() // alignment) * alignment
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: tensor {doubled!r} occurs twice; fetch it again")
    return GgufFile(path, metadata, tuple(t._replace(offset=start + t.offset) for t in tensors))


def _tensor(reader: _Reader) -> GgufTensor:
    name, rank = reader.text(), reader.number("I")
    shape = tuple(reversed([reader.number("Q") for _ in range(rank)]))
    return GgufTensor(name, shape, reader.number("I"), reader.number("Q"))
