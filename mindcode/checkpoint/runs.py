"""Checkpoints of runs: found by their manifests, held to them, and opened as tensors of which any block can be read.

path = newest_in(Path("output"))                  # the manifest of the newest whole one
checkpoint = open_run(path)
numbers = checkpoint.tensors["lm_head.weight"].read(placement)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindcode.checkpoint.blocks import SlicedTensor, StoredBlock, block_in_ckpt
from mindcode.checkpoint.ckpt_file import CkptEntry, TensorRecord, scan_ckpt
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.manifest import Manifest, TensorSlices, is_manifest, read_manifest
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger


@dataclass(frozen=True)
class Checkpoint:
    """What can be read from one path."""

    path: Path
    """What was opened, for messages: a manifest, a file, or a folder of weights."""
    tensors: Mapping[str, SlicedTensor]
    state: Mapping[str, TensorRecord]
    """Numbers without dimensions."""
    dims: ParallelDims | None
    """The split it was written with; None for a complete file."""
    files: tuple[Path, ...]
    """What it lies in."""

    def read(self, wanted: Mapping[str, Placement]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the wanted block of each tensor, one at a time, reading nothing else.

        Raises UserError for a tensor that is missing or has another shape.
        """
        for name, placement in wanted.items():
            yield name, self.tensor(name, placement).read(placement)

    def tensor(self, name: str, placement: Placement) -> SlicedTensor:
        """Return a tensor after checking that it has the placement's global shape."""
        tensor = self.tensors.get(name)
        if tensor is None:
            raise UserError(f"{self.path}: holds no {name}")
        if tensor.shape != placement.global_shape:
            raise UserError(
                f"{self.path}: {name} is {list(tensor.shape)}, expected {list(placement.global_shape)}; "
                "the checkpoint is of another model"
            )
        return tensor


def manifest_at(path: Path) -> Path | None:
    """Return the manifest that a path means: itself, the one that names a rank's file, the newest whole of a folder.

    None when it belongs to no run. Raises UserError when all of a folder's checkpoints are damaged.
    """
    if path.is_dir():
        return newest_in(path)
    return path if is_manifest(path) else manifest_of(path)


def newest_in(folder: Path) -> Path | None:
    """Return the manifest of the newest checkpoint that is whole in a folder of a run, or None when there is none.

    A damaged one is named in a warning and passed over. Raises UserError when all are damaged.
    """
    found = readable_manifests(folder)
    for path, manifest in reversed(found):
        problem = problem_of(path, manifest)
        if problem is None:
            return path
        get_logger().warning("%s; taking the checkpoint before it", problem)
    if found:
        raise UserError(f"{folder}: none of {len(found)} checkpoints is whole; remove them to start again")
    return None


def readable_manifests(folder: Path) -> list[tuple[Path, Manifest]]:
    """Read the manifests of a folder, oldest first; what cannot be read is named in a warning."""
    found = []
    for path in manifests_in(folder):
        try:
            found.append((path, read_manifest(path)))
        except UserError as error:
            get_logger().warning("%s; passed over", error)
    return sorted(found, key=lambda pair: pair[1].sequence)


def manifests_in(folder: Path) -> list[Path]:
    """List the manifests in a folder, in the folder above when it is one rank's, or in its folder `checkpoint`."""
    for place in (folder, folder / "checkpoint", folder.parent if folder.name.startswith("rank_") else folder):
        found = [path for path in sorted(place.glob("*.json")) if is_manifest(path)]
        if found:
            return found
    return []


def manifest_of(file: Path) -> Path | None:
    """Return the manifest that names a rank's file, or None when the file stands for itself."""
    if not file.parent.name.startswith("rank_"):
        return None
    name = f"{file.parent.name}/{file.name}"
    for path, manifest in readable_manifests(file.parent):
        if name in (stored.name for stored in manifest.files):
            return path
    return None


def problem_of(path: Path, manifest: Manifest) -> str | None:
    """Return what is wrong with the files of a manifest, in one line, or None when all are whole."""
    if missing := missing_file(path, manifest):
        return missing
    try:
        for number, stored in enumerate(manifest.files):
            check_file(path.parent / stored.name, number, manifest)
    except UserError as error:
        return str(error)
    return None


def missing_file(path: Path, manifest: Manifest) -> str | None:
    """Return which file of a manifest is not there in full size, in one line, or None when all are."""
    for stored in manifest.files:
        file = path.parent / stored.name
        if not file.is_file():
            return f"{file}: missing, named by {path.name}"
        if file.stat().st_size != stored.bytes:
            return f"{file}: {file.stat().st_size} bytes instead of {stored.bytes}"
    return None


def check_file(file: Path, number: int, manifest: Manifest) -> dict[str, CkptEntry]:
    """Return the tensors of a file by name; UserError when they are not the blocks that the manifest states."""
    entries = {entry.name: entry for entry in scan_ckpt(file)}
    for name, tensor in manifest.tensors.items():
        for placement in tensor.placements(number):
            check_entry(file, name, entries.get(name), tensor.dtype, placement.shape)
    return entries


def check_entry(file: Path, name: str, entry: CkptEntry | None, dtype: str, shape: Shape) -> None:
    """Raise UserError unless a tensor in a file has the format and shape that the manifest states."""
    if entry is None or (entry.dtype, entry.shape) != (dtype, shape):
        found = f"{entry.dtype} {list(entry.shape)}" if entry else "nothing"
        raise UserError(
            f"{file}: holds {found} for {name}, the manifest says {dtype} {list(shape)}; "
            "the file is of another checkpoint"
        )


def open_run(path: Path) -> Checkpoint:
    """Open the checkpoint of a manifest; UserError when a file is missing or is not what the manifest says."""
    manifest = read_manifest(path)
    if missing := missing_file(path, manifest):
        raise UserError(f"{missing}; take another checkpoint")
    files = _Files(path.parent, manifest)
    tensors = {name: files.tensor(name, tensor) for name, tensor in manifest.tensors.items()}
    state = {name: scalar_record(name, *number) for name, number in manifest.state.items()}
    return Checkpoint(path, tensors, state, manifest.dims, tuple(path.parent / file.name for file in manifest.files))


def scalar_record(name: str, dtype: str, value: float) -> TensorRecord:
    """Return a number as a record without dimensions."""
    return TensorRecord(name, dtype, np.array(value, FORMATS[dtype].storage))


class _Files:
    """The files of a manifest; each is listed when the first tensor of it is read."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._paths = [folder / stored.name for stored in manifest.files]
        self._manifest = manifest
        self._listed: dict[int, dict[str, CkptEntry]] = {}

    def tensor(self, name: str, tensor: TensorSlices) -> SlicedTensor:
        copies = {part.start: part for part in reversed(tensor.slices)}
        blocks = tuple(self._block(name, part.file, part.start, part.shape) for part in copies.values())
        return SlicedTensor(name, tensor.dtype, tensor.shape, blocks)

    def _block(self, name: str, number: int, start: tuple[int, ...], shape: tuple[int, ...]) -> StoredBlock:
        def read(first: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
            if number not in self._listed:
                self._listed[number] = check_file(self._paths[number], number, self._manifest)
            return block_in_ckpt(self._paths[number], self._listed[number][name], start).read(first, size)

        return StoredBlock(start, shape, read)
