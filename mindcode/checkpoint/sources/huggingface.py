"""Hugging Face folders: config.json and safetensors or .bin files, single or with an index; also one file alone."""

from collections.abc import Iterable
from pathlib import Path

from mindcode.checkpoint.hf_config import config_from_hf
from mindcode.checkpoint.names import EMBEDDING, Dialect, is_rotary_table, translate
from mindcode.checkpoint.safetensors_file import read_safetensors
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.tensors import LazyTensor
from mindcode.checkpoint.torch_file import read_torch
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json

_REMEDY = "; fetch it again"
_READERS = {".safetensors": read_safetensors, ".bin": read_torch}
_SINGLE_NAMES = ("model.safetensors", "pytorch_model.bin")
_INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_NOT_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin")


def open_hugging_face(path: Path) -> Source:
    """Open a folder, or a file in one; a folder of safetensors with MindFormers' names is also accepted.

    Raises UserError for missing shards, names that occur twice, and everything that the readers refuse.
    """
    folder = path if path.is_dir() else path.parent
    index = _index_of(path, folder)
    files = _indexed_files(index) if index else [_single_file(path, folder)]
    tensors = _merged(files)
    if index:
        _check_index(index, tensors)
    ours: dict[str, LazyTensor] = {}
    unknown = []
    dialect: Dialect = "ours" if EMBEDDING in tensors else "hugging_face"
    for name, tensor in tensors.items():
        translated = translate(name, dialect, "ours")
        if translated:
            ours[translated] = tensor
        elif not is_rotary_table(name):
            unknown.append(name)
    config_file = folder / "config.json"
    config = config_from_hf(read_json(config_file, _REMEDY), config_file) if config_file.is_file() else None
    return Source(path, config, ours, tuple(unknown), tuple(files))


def _index_of(path: Path, folder: Path) -> Path | None:
    """The index that covers `path`: the folder's (safetensors before .bin), or the one that lists the given file."""
    found = [folder / name for name in _INDEX_NAMES if (folder / name).is_file()]
    if path.is_dir():
        # a whole safetensors file wins over the shards of an older .bin
        if found and found[0].name == _INDEX_NAMES[1] and (folder / _SINGLE_NAMES[0]).is_file():
            return None
        return found[0] if found else None
    if path.name in _INDEX_NAMES:
        return path
    return next((index for index in found if path.name in _weight_map(index).values()), None)


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_json(index, _REMEDY).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index}: no weight_map in it; fetch it again")
    return {str(name): str(file) for name, file in weight_map.items()}


def _indexed_files(index: Path) -> list[Path]:
    names = sorted(set(_weight_map(index).values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise UserError(f"{index}: {len(missing)} of {len(names)} files are missing, first {missing[0]}; fetch them")
    return [index.parent / name for name in names]


def _single_file(path: Path, folder: Path) -> Path:
    if path.is_file() and path.suffix in _READERS:
        return path
    for name in _SINGLE_NAMES:
        if (folder / name).is_file():
            return folder / name
    for suffix in _READERS:
        found = [file for file in sorted(folder.glob(f"*{suffix}")) if file.name not in _NOT_WEIGHTS]
        if len(found) > 1:
            raise UserError(
                f"{folder}: {len(found)} *{suffix} files and no index; name one of them, or fetch the index"
            )
        if found:
            return found[0]
    raise UserError(f"{path}: no weights here: expected *.safetensors, *.bin, *.gguf, *.pth or *.ckpt")


def _merged(files: Iterable[Path]) -> dict[str, LazyTensor]:
    merged: dict[str, LazyTensor] = {}
    origin: dict[str, Path] = {}
    for file in files:
        for name, tensor in _READERS[file.suffix](file).items():
            if name in merged:
                raise UserError(f"{file}: tensor {name!r} is also in {origin[name].name}; keep one of them")
            merged[name], origin[name] = tensor, file
    return merged


def _check_index(index: Path, tensors: dict[str, LazyTensor]) -> None:
    missing = sorted(set(_weight_map(index)) - set(tensors))
    if missing:
        raise UserError(f"{index}: {len(missing)} listed tensors are in no file, first {missing[0]!r}; fetch it again")
