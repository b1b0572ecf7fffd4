"""Whether checkpoints are what they were when they were written: every byte is read.

    for verdict in verify(Path("output/checkpoint")):
        print(verdict.path, verdict.problems)

A checkpoint with a manifest is held to its sizes, shapes, blocks and checksums, copies of a block to each other. A file
without one has less to be held to: its own structure, and MindSpore's checksum when it has that.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mindcode.checkpoint.ckpt_file import CkptEntry, Segment, read_entry, scan_ckpt, stored_crc32
from mindcode.checkpoint.manifest import Manifest, covers, is_manifest, read_manifest
from mindcode.checkpoint.runs import check_entry, manifest_of, manifests_in
from mindcode.utils.errors import UserError

_PIECE = 1 << 20

Count = Callable[[int], None]


@dataclass(frozen=True)
class Verdict:
    """What is known of one checkpoint."""

    path: Path
    bytes: int
    problems: tuple[str, ...]


def targets(path: Path) -> list[Path]:
    """Return what `verify` looks at: manifests, or one complete file; UserError when there is nothing."""
    if path.is_dir():
        found = manifests_in(path)
        if not found:
            raise UserError(f"{path}: holds no manifest of a checkpoint; name a .ckpt file to check it alone")
        return found
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    return [path if is_manifest(path) else manifest_of(path) or path]


def size_of(path: Path) -> int:
    """Return how many bytes there are to read for one target."""
    if not is_manifest(path):
        return path.stat().st_size
    try:
        return read_manifest(path).bytes
    except UserError:
        return 0


def verify(path: Path, count: Count) -> Verdict:
    """Read all of one target; `count` is told how many bytes more are done."""
    try:
        if not is_manifest(path):
            return Verdict(path, path.stat().st_size, tuple(_complete_problems(path, count)))
        manifest = read_manifest(path)
        return Verdict(path, manifest.bytes, tuple(_problems(path, manifest, count)))
    except UserError as error:
        return Verdict(path, 0, (str(error),))


def _problems(path: Path, manifest: Manifest, count: Count) -> Iterator[str]:
    for name, tensor in manifest.tensors.items():
        if not covers(tensor.shape, {(part.start, part.shape) for part in tensor.slices}):
            yield f"{path}: the blocks of {name} do not cover {list(tensor.shape)}"
        first = {part.start: part for part in reversed(tensor.slices)}
        for part in tensor.slices:
            if part.crc32 != first[part.start].crc32:
                names = (manifest.files[first[part.start].file].name, manifest.files[part.file].name)
                yield f"{path}: {name} at {list(part.start)} is not the same in {names[0]} and {names[1]}"
    for number, stored in enumerate(manifest.files):
        file = path.parent / stored.name
        if not file.is_file():
            yield f"{file}: missing"
        elif file.stat().st_size != stored.bytes:
            yield f"{file}: {file.stat().st_size} bytes instead of {stored.bytes}"
        else:
            yield from _file_problems(file, number, manifest, count)


def _file_problems(file: Path, number: int, manifest: Manifest, count: Count) -> Iterator[str]:
    try:
        entries = {entry.name: entry for entry in scan_ckpt(file)}
    except UserError as error:
        yield str(error)
        return
    for name in entries.keys() - manifest.tensors.keys() - manifest.state.keys():
        yield f"{file}: holds {name}, which the manifest does not name"
    for name, stated in manifest.state.items():
        if name not in entries or float(read_entry(file, entries[name]).array) != stated.value:
            yield f"{file}: {name} is not {stated.value:g} as in the manifest"
    for name, tensor in manifest.tensors.items():
        for part in tensor.slices:
            if part.file != number:
                continue
            try:
                check_entry(file, name, entries.get(name), tensor.dtype, part.shape)
            except UserError as error:
                yield str(error)
                continue
            if _crc32(file, entries[name].segments, count) != part.crc32:
                yield f"{file}: the bytes of {name} are not those that were written"


def _complete_problems(path: Path, count: Count) -> Iterator[str]:
    if path.suffix != ".ckpt":
        raise UserError(f"{path}: neither a manifest nor a .ckpt file")
    entries: list[CkptEntry] = scan_ckpt(path)
    expected = stored_crc32(path)
    if expected is None:
        for entry in entries:
            _crc32(path, entry.segments, count)
    elif _crc32(path, (Segment(0, expected.length),), count) != expected.crc32:
        yield f"{path}: the checksum at its end does not fit what is before it"


def _crc32(file: Path, segments: tuple[Segment, ...], count: Count) -> int:
    checksum = 0
    with open(file, "rb", buffering=0) as stream:
        for offset, length in segments:
            for position in range(offset, offset + length, _PIECE):
                piece = os.pread(stream.fileno(), min(_PIECE, offset + length - position), position)
                checksum = zlib.crc32(piece, checksum)
                count(len(piece))
    return checksum
