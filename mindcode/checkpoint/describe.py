"""A checkpoint as lines to read: its position, its split, and of every tensor the shape and where its blocks lie."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.manifest import Manifest, TensorSlices, is_manifest, read_manifest
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.runs import Checkpoint, manifest_of, problem_of, readable_manifests
from mindcode.parallel.plan import Shape
from mindcode.utils.columns import aligned
from mindcode.utils.errors import UserError

_HEAD = ("tensor", "format", "shape", "cut", "blocks and copies")


def describe(source: Source, pattern: str = "") -> Iterator[str]:
    """Yield lines about a checkpoint, the newest whole one of a folder; `pattern` is part of the tensors' names.

    Raises UserError for what cannot be opened.
    """
    path = source.path
    if path.is_dir() and (listed := readable_manifests(path)):
        whole = [other for other, manifest in listed if problem_of(other, manifest) is None]
        yield from aligned([_listed(*pair, "whole" if pair[0] in whole else "damaged") for pair in listed])
        yield ""
        path = whole[-1] if whole else path
    manifest = path if is_manifest(path) else manifest_of(path) if path.is_file() else None
    yield from _manifest(manifest, pattern) if manifest else _complete(source.open(), pattern)


def _listed(path: Path, manifest: Manifest, state: str) -> tuple[str, ...]:
    epoch, step = manifest.position
    files = f"{len(manifest.files)} files"
    return (path.name, f"epoch {epoch}", f"step {step}", manifest.dims.in_words, files, _size(manifest.bytes), state)


def _manifest(path: Path, pattern: str) -> Iterator[str]:
    manifest = read_manifest(path)
    yield f"{path}: written on {manifest.dims.in_words}"
    yield from _summary({name: (t.dtype, t.shape) for name, t in manifest.tensors.items()}, manifest.bytes)
    if manifest.state:
        yield "state: " + ", ".join(f"{name} {number.value:g}" for name, number in manifest.state.items())
    rows = [
        (name, t.dtype, _shape(t.shape), _cut({part.start for part in t.slices}), _whereabouts(t))
        for name, t in manifest.tensors.items()
        if pattern in name
    ]
    yield from _titled(rows, pattern)


def _complete(checkpoint: Checkpoint, pattern: str) -> Iterator[str]:
    degrees = f"written on {checkpoint.dims.in_words}" if checkpoint.dims else "complete"
    yield f"{checkpoint.path}: {degrees}"
    size = sum(file.stat().st_size for file in checkpoint.files)
    yield from _summary({name: (t.dtype, t.shape) for name, t in checkpoint.tensors.items()}, size)
    if checkpoint.state:
        yield "state: " + ", ".join(f"{name} {record.array}" for name, record in checkpoint.state.items())
    rows = [
        (name, t.dtype, _shape(t.shape), _cut({block.start for block in t.blocks}), f"{len(t.blocks)}")
        for name, t in checkpoint.tensors.items()
        if pattern in name
    ]
    yield from _titled(rows, pattern)


def _summary(tensors: Mapping[str, tuple[str, Sequence[int]]], size: int) -> Iterator[str]:
    weights = [shape for name, (_, shape) in tensors.items() if not name.startswith(STATE_PREFIXES)]
    others = len(tensors) - len(weights)
    yield (
        f"{len(weights)} weights with {sum(prod(shape) for shape in weights):,} parameters, "
        f"{others} tensors of optimizer state, {_size(size)}"
    )


def _cut(starts: set[Shape]) -> str:
    """`axis 0 in 4`, for each axis that is cut."""
    parts = [len(set(indices)) for indices in zip(*starts, strict=True)]
    return ", ".join(f"axis {axis} in {count}" for axis, count in enumerate(parts) if count > 1)


def _whereabouts(tensor: TensorSlices) -> str:
    """How many blocks lie how often, and where."""
    blocks = len({part.start for part in tensor.slices})
    return f"{blocks} x {len(tensor.slices) // blocks} in rank {_ranges(sorted({p.file for p in tensor.slices}))}"


def _ranges(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 -> 0-2, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _titled(rows: Sequence[tuple[str, ...]], pattern: str) -> Iterator[str]:
    if not rows:
        raise UserError(f"no tensor has {pattern!r} in its name")
    yield ""
    yield from aligned([_HEAD, *rows])


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 10**8 else f"{size / 1e6:.2f} MB"
