"""Which kind of source a path is."""

from pathlib import Path

from mindcode.checkpoint.runs import manifest_at
from mindcode.checkpoint.sources.huggingface import open_hugging_face
from mindcode.checkpoint.sources.meta import open_meta
from mindcode.checkpoint.sources.mindspore import open_ckpt
from mindcode.checkpoint.sources.run import open_manifest
from mindcode.checkpoint.sources.types import Source
from mindcode.utils.errors import UserError

_SUFFIXES = (".gguf", ".ckpt", ".pth", ".safetensors", ".bin", ".json")


def open_source(path: Path) -> Source:
    """Find the weights at `path`: a .gguf or .ckpt, a folder of Hugging Face, Meta or a run, or a file in such a one.

    Raises UserError for a path that does not exist, holds no weights, or holds several models.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if manifest := manifest_at(path):
        return open_manifest(path, manifest)
    if path.is_dir():
        return _open_folder(path)
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path}: unknown kind of weights {path.suffix!r} (known: {', '.join(_SUFFIXES)}, a folder)")
    if path.suffix == ".gguf":
        return _open_gguf(path)
    if path.suffix == ".ckpt":
        return open_ckpt(path)
    if path.suffix == ".pth" or path.name == "params.json":
        return open_meta(path)
    return open_hugging_face(path)


def _open_folder(folder: Path) -> Source:
    if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
        return open_hugging_face(folder)
    if any(folder.glob("consolidated.*.pth")):
        return open_meta(folder)
    found = sorted([*folder.glob("*.gguf"), *folder.glob("*.ckpt")])
    if len(found) == 1:
        return open_source(found[0])
    if found:
        raise UserError(f"{folder}: {len(found)} files of weights ({found[0].name}, {found[1].name}, ...); name one")
    return open_hugging_face(folder)


def _open_gguf(path: Path) -> Source:
    # gguf's tables take 0.2 s to import, and other sources have no use for them
    from mindcode.checkpoint.sources.gguf import open_gguf

    return open_gguf(path)
