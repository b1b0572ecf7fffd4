"""Checkpoints of MindSpore and MindFormers runs, which have no manifest: a strategy file says how they are split.

checkpoint = Source(Path("output/checkpoint"), strategy=Path("output/strategy")).open()
"""

import re
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from mindcode.checkpoint.blocks import SlicedTensor, StoredBlock, block_in_ckpt
from mindcode.checkpoint.ckpt_file import CkptEntry, TensorRecord, read_entry, scan_ckpt
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.runs import Checkpoint, manifests_in
from mindcode.checkpoint.strategy import Strategy
from mindcode.checkpoint.strategy_file import read_strategy
from mindcode.parallel.plan import Shape
from mindcode.utils.errors import UserError

_POSITION = re.compile(r"-(\d+)_(\d+)\.ckpt$")


@dataclass(frozen=True)
class Source:
    """What is read: everything that `open_checkpoint` opens, or ranks' files and how they are split."""

    path: Path
    strategy: Path | None = None
    """A strategy file, or a folder of them; None when a manifest says it or the file is complete."""
    weights_only: bool = False
    """Leave the optimizer's state and the position of the run behind."""

    def open(self) -> Checkpoint:
        """Open it; UserError for what is missing, damaged or ambiguous."""
        checkpoint = self._open()
        if not self.weights_only:
            return checkpoint
        tensors = {name: t for name, t in checkpoint.tensors.items() if not name.startswith(STATE_PREFIXES)}
        return replace(checkpoint, tensors=tensors, state={})

    def _open(self) -> Checkpoint:
        folders = rank_folders(self.path) if self.path.is_dir() and not manifests_in(self.path) else {}
        if not folders:
            return open_checkpoint(self.path)
        if self.strategy:
            return _join(self.path, folders, read_strategy(self.strategy))
        if len(folders) > 1:
            raise UserError(
                f"{self.path}: files of {len(folders)} ranks without a manifest; name the strategy file of the run "
                "(--src_strategy)"
            )
        return open_checkpoint(newest_files(folders)[0])


def rank_folders(folder: Path) -> dict[int, Path]:
    """Return the folders rank_0, rank_1, ... in a folder that hold .ckpt files."""
    found = {int(path.name[5:]): path for path in folder.glob("rank_*") if path.name[5:].isdigit()}
    return {rank: found[rank] for rank in sorted(found) if any(found[rank].glob("*.ckpt"))}


def newest_files(folders: dict[int, Path]) -> dict[int, Path]:
    """Return the file of every rank at the newest position, by epoch and step in the name, that all of them have."""
    positions = {rank: _by_position(folder) for rank, folder in folders.items()}
    common = set.intersection(*(set(files) for files in positions.values()))
    if not common:
        names = ", ".join(str(next(iter(files.values()))) for files in list(positions.values())[:2])
        raise UserError(f"{names}, ...: the ranks have no position in common; put files of one step into the folders")
    return {rank: files[max(common)] for rank, files in positions.items()}


def _by_position(folder: Path) -> dict[tuple[int, int], Path]:
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.glob("*.ckpt")):
        match = _POSITION.search(path.name)
        position = (int(match[1]), int(match[2])) if match else (0, 0)
        if position in found:
            raise UserError(f"{folder}: both {found[position].name} and {path.name} could be meant; remove one of them")
        found[position] = path
    return found


def _join(path: Path, folders: dict[int, Path], strategy: Strategy) -> Checkpoint:
    world_size = strategy.dims.world_size
    missing = [rank for rank in range(world_size) if rank not in folders]
    if missing:
        raise UserError(
            f"{path}: no .ckpt file in rank_{missing[0]}; {strategy.path} is of {world_size} ranks, {len(missing)} of "
            "them are missing"
        )
    files = newest_files({rank: folders[rank] for rank in range(world_size)})
    tensors: dict[str, SlicedTensor] = {}
    state: dict[str, TensorRecord] = {}
    for rank, file in files.items():
        for entry in scan_ckpt(file):
            if entry.shape == () or entry.dtype not in FORMATS:
                state.setdefault(entry.name, read_entry(file, entry))
                continue
            shape, block = _block(strategy, rank, file, entry)
            tensors[entry.name] = _with_block(tensors.get(entry.name), entry, shape, block, file)
    for tensor in tensors.values():
        held = sum(prod(block.shape) for block in tensor.blocks)
        if held != prod(tensor.shape):
            raise UserError(f"{path}: the files hold only {held} of {prod(tensor.shape)} numbers of {tensor.name}")
    return Checkpoint(path, tensors, state, strategy.dims, tuple(files.values()))


def _block(strategy: Strategy, rank: int, file: Path, entry: CkptEntry) -> tuple[Shape, StoredBlock]:
    stage, device = divmod(rank, strategy.stage_devices)
    layout = strategy.stages[stage].get(entry.name)
    if layout is None:
        return entry.shape, block_in_ckpt(file, entry, (0,) * len(entry.shape))
    fits = len(layout.tensor_map) == len(entry.shape) and layout.local_shape in ((), entry.shape)
    shape = layout.global_shape(entry.shape) if fits else ()
    placement = layout.placement(shape, device) if fits else None
    if placement is None:
        raise UserError(
            f"{file}: {entry.name} is {list(entry.shape)}, {strategy.path} says {list(layout.local_shape)}; "
            "the strategy is of another run"
        )
    return shape, block_in_ckpt(file, entry, placement.start)


def _with_block(
    known: SlicedTensor | None, entry: CkptEntry, shape: Shape, block: StoredBlock, file: Path
) -> SlicedTensor:
    if known is None:
        return SlicedTensor(entry.name, entry.dtype, shape, (block,))
    if (known.dtype, known.shape) != (entry.dtype, shape):
        raise UserError(
            f"{file}: {entry.name} is {entry.dtype} {list(shape)}, in another rank's file {known.dtype} "
            f"{list(known.shape)}; the files are of different runs"
        )
    if any(other.start == block.start for other in known.blocks):
        return known
    return replace(known, blocks=(*known.blocks, block))
