"""Where a conversion may write: what the name of an output means, and what must not be lost under it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from mindcode.checkpoint.sidecar import TOKENIZER_FILES, WEIGHT_SUFFIXES, sidecar_path
from mindcode.utils.errors import UserError

FILE_SUFFIXES = (".ckpt", ".safetensors")
"""Names that end so are files; every other output is a folder."""


def check_kind(output: Path) -> None:
    """Raise UserError unless `output` names a .ckpt, a .safetensors or a folder, and what exists is of that kind."""
    if output.suffix not in FILE_SUFFIXES:
        known = ", ".join(FILE_SUFFIXES)
        if output.suffix in WEIGHT_SUFFIXES:
            raise UserError(f"{output}: unknown kind of output {output.suffix!r} (known: {known}, a folder)")
        check_replaceable(output)
    elif output.is_dir():
        raise UserError(f"{output}: is a folder; name a file in it")


def check_folder(output: Path) -> None:
    """Raise UserError when the name of an output folder is that of a file, or its content would be lost."""
    if output.suffix in WEIGHT_SUFFIXES:
        raise UserError(f"{output}: a folder is written here; name one, without {output.suffix!r}")
    check_replaceable(output)


def check_replaceable(folder: Path) -> None:
    """Raise UserError when an output folder exists and holds anything that a conversion would not have written."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a folder, or a .ckpt or .safetensors file")
    known = {*TOKENIZER_FILES, "config.json", "generation_config.json", "model.yaml", "model.safetensors.index.json"}
    for entry in sorted(folder.iterdir()):
        if entry.name not in known and not (entry.name.startswith("model") and entry.suffix == ".safetensors"):
            raise UserError(f"{folder}: holds {entry.name}, which would be lost; name a new folder")


def check_place(output: Path, inputs: Iterable[Path], nbytes: int) -> None:
    """Raise UserError when an input would be replaced, or the disk has too little room for `nbytes`."""
    written = {output.resolve(), sidecar_path(output).resolve()}
    for path in inputs:
        # an input that is a link is lost with the link's own folder, too
        for place in (path.resolve(), path.parent.resolve() / path.name):
            if not written.isdisjoint({place, *place.parents}):
                raise UserError(f"{output}: {path} is an input and would be replaced; name another output")
    parent = next(folder for folder in output.resolve().parents if folder.is_dir())
    free = shutil.disk_usage(parent).free
    if nbytes > free:
        raise UserError(f"{output}: needs {nbytes / 1e9:.2f} GB, and {parent} has {free / 1e9:.2f} GB free")
