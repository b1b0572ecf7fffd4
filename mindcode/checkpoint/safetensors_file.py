"""The safetensors container: headers read, files written block by block.

Eight bytes with the length of a JSON header {name: {dtype, shape, data_offsets}}, the header, the bytes of the tensors.
"""

import json
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mindcode.checkpoint.dtypes import BY_SAFETENSORS, FORMATS
from mindcode.checkpoint.file_writer import FileWriter
from mindcode.checkpoint.tensors import LazyTensor, tensor_in_file
from mindcode.utils.errors import UserError

_MAX_HEADER = 100_000_000
_METADATA = "__metadata__"


class TensorSpec(NamedTuple):
    """A tensor that is going to be written."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return FORMATS[self.dtype].storage.itemsize * int(np.prod(self.shape, dtype=np.int64))


def read_safetensors(path: Path) -> dict[str, LazyTensor]:
    """List the tensors of a file by name; raises UserError for a foreign or truncated file or an unknown format."""
    header, data_start = _read_header(path)
    tensors = {}
    end = 0
    for name, entry in header.items():
        try:
            form, shape = str(entry["dtype"]), tuple(map(operator.index, entry["shape"]))
            start, stop = map(operator.index, entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: tensor {name!r}: malformed header entry; fetch it again") from error
        end = max(end, stop)
        if form not in BY_SAFETENSORS:
            raise UserError(f"{path}: tensor {name!r} has format {form} (known: {', '.join(BY_SAFETENSORS)})")
        tensor = tensor_in_file(path, name, BY_SAFETENSORS[form].name, shape, data_start + start)
        if TensorSpec(name, tensor.dtype, shape).nbytes != stop - start:
            raise UserError(f"{path}: tensor {name!r}: {stop - start} bytes do not hold {form} {list(shape)}")
        tensors[name] = tensor
    size = path.stat().st_size
    if size != data_start + end:
        state = "truncated" if size < data_start + end else "longer than its header says"
        raise UserError(f"{path}: {state}: {size} bytes where {data_start + end} are expected; fetch it again")
    return tensors


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    with open(path, "rb") as stream:
        prefix = stream.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or not 2 <= length <= _MAX_HEADER:
            raise UserError(f"{path}: truncated, or not a safetensors file; fetch it again")
        text = stream.read(length)
    try:
        pairs = json.loads(text, object_pairs_hook=lambda found: _unique(found, path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: truncated, or not a safetensors file (its header is not JSON)") from error
    if not isinstance(pairs, dict):
        raise UserError(f"{path}: not a safetensors file (its header is not a JSON object)")
    pairs.pop(_METADATA, None)
    return pairs, 8 + length


def _unique(pairs: Sequence[tuple[str, Any]], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UserError(f"{path}: tensor {name!r} occurs twice; keep one of them")
        found[name] = value
    return found


class SafetensorsWriter(FileWriter):
    """Writes one file, block by block in the order of `specs`; it appears, whole, when the `with` block ends."""

    def __init__(self, path: Path, specs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> None:
        super().__init__(path)
        self._specs = specs
        self._metadata = dict(metadata)
        self._begun = 0
        self._missing = 0

    def begin(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Start the next tensor, which must be the next of `specs`."""
        spec = self._specs[self._begun]
        if self._missing or spec != (name, dtype, shape):
            raise ValueError(f"{self.path}: {name!r} begins where {spec.name!r} or {self._missing} bytes are due")
        self._begun += 1
        self._missing = spec.nbytes

    def write(self, block: np.ndarray) -> None:
        """Write the next block of the tensor that was begun."""
        content = np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
        if len(content) > self._missing:
            raise ValueError(f"{self.path}: {len(content)} bytes for a tensor that needs {self._missing} more")
        self._put(content)
        self._missing -= len(content)

    def _head(self) -> bytes:
        return _header(self._specs, self._metadata)

    def _tail(self) -> bytes:
        if self._missing or self._begun != len(self._specs):
            raise ValueError(f"{self.path}: {self._begun} of {len(self._specs)} tensors were written")
        return b""


def _header(specs: Sequence[TensorSpec], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, Any] = {_METADATA: dict(metadata)}
    offset = 0
    for spec in specs:
        span = [offset, offset + spec.nbytes]
        entries[spec.name] = {"dtype": FORMATS[spec.dtype].safetensors, "shape": spec.shape, "data_offsets": span}
        offset = span[1]
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
