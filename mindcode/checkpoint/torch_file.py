"""Reading PyTorch's .bin and .pth files without PyTorch, tensor by tensor.

Since PyTorch 1.6 these are uncompressed zip files: `*/data.pkl` describes the tensors, `*/data/<key>` holds the bytes
of each storage. The pickle is read by an unpickler that knows tensors and plain containers only, so that a file cannot
run code. Memory stays small because only the rows asked for are read.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mindcode.checkpoint.dtypes import BFLOAT16, FLOAT16, FLOAT32, FORMATS
from mindcode.checkpoint.tensors import LazyTensor, tensor_in_file
from mindcode.utils.errors import UserError

_STORAGES = {"FloatStorage": FLOAT32, "HalfStorage": FLOAT16, "BFloat16Storage": BFLOAT16}
_OTHER_STORAGES = (
    "DoubleStorage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
)
_LOCAL_HEADER = 30


class _Storage(NamedTuple):
    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_torch(path: Path) -> dict[str, LazyTensor]:
    """List the tensors of a state dict by name; raises UserError for a foreign, truncated or unusual file."""
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: truncated, or not a PyTorch file of version 1.6 or newer (a zip); save it again")
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise UserError(f"{path}: not a PyTorch file: {len(pickles)} data.pkl inside, 1 expected")
        prefix = pickles[0].removesuffix("data.pkl")
        with archive.open(pickles[0]) as stream:
            state = _unpickle(stream, path)
        starts = {info.filename: _data_start(path, info) for info in archive.infolist()}
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    tensors = {}
    for name, value in state.items():
        if isinstance(value, _Tensor):
            member = f"{prefix}data/{value.storage.key}"
            if member not in starts:
                raise UserError(f"{path}: tensor {name!r}: its storage {member} is not in the file; fetch it again")
            tensors[str(name)] = _lazy(path, str(name), value, starts[member], sizes[member])
    return tensors


def _unpickle(stream: Any, path: Path) -> dict[str, Any]:
    try:
        state = _StateDictUnpickler(stream, path).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a state dict of tensors ({error})") from error
    if not isinstance(state, dict) or not any(isinstance(value, _Tensor) for value in state.values()):
        raise UserError(f"{path}: not a state dict: expected names and tensors at the top level")
    return state


class _StateDictUnpickler(pickle.Unpickler):
    """Builds descriptions in place of tensors, and refuses every class that a state dict does not need."""

    def __init__(self, stream: Any, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and (name in _STORAGES or name in _OTHER_STORAGES):
            return _STORAGES.get(name, name)
        if (module, name) in _BUILDERS:
            return _BUILDERS[module, name]
        raise UserError(f"{self._path}: holds {module}.{name}, not only tensors; save the plain state dict")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key = pid[:3]
        return _Storage(str(key), str(dtype))


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


def _parameter(data: _Tensor, *_: object) -> _Tensor:
    return data


_BUILDERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: the lengths in its local header differ from those in the table of contents."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise UserError(f"{path}: {info.filename} is compressed, which PyTorch never does; save the file again")
    with open(path, "rb") as stream:
        stream.seek(info.header_offset)
        header = stream.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise UserError(f"{path}: truncated; fetch it again")
    return (
        info.header_offset
        + _LOCAL_HEADER
        + int.from_bytes(header[26:28], "little")
        + int.from_bytes(header[28:30], "little")
    )


def _lazy(path: Path, name: str, tensor: _Tensor, start: int, size: int) -> LazyTensor:
    dtype = tensor.storage.dtype
    if dtype not in FORMATS:
        raise UserError(f"{path}: tensor {name!r} has format {dtype} (known: {', '.join(_STORAGES)})")
    if tensor.stride != _row_major(tensor.shape):
        raise UserError(f"{path}: tensor {name!r} is a view with stride {list(tensor.stride)}; save .contiguous()")
    itemsize = FORMATS[dtype].storage.itemsize
    if (tensor.offset + int(np.prod(tensor.shape, dtype=np.int64))) * itemsize > size:
        raise UserError(f"{path}: tensor {name!r} is larger than its storage of {size} bytes; fetch the file again")
    return tensor_in_file(path, name, dtype, tensor.shape, start + tensor.offset * itemsize)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    stride: list[int] = []
    step = 1
    for length in reversed(shape):
        stride.append(step)
        step *= length
    return tuple(reversed(stride))
