"""Checkpoints of every kind behind one face: tensors by name, of which any block can be read.

    checkpoint = open_checkpoint(Path("output/checkpoint"))          # the newest whole one of a run, of any degrees
    checkpoint = open_checkpoint(Path("codellama_34b.ckpt"))         # a complete file
    numbers = checkpoint.tensors["lm_head.weight"].read(placement)

A run's checkpoint is found by its manifest, by one rank's file, or by a folder that holds manifests.
"""

from collections.abc import Iterable
from pathlib import Path

from mindcode.checkpoint.blocks import SlicedTensor, block_in_ckpt, block_of_rows
from mindcode.checkpoint.ckpt_file import STRING, CkptEntry, read_entry, scan_ckpt
from mindcode.checkpoint.runs import Checkpoint, manifest_at, open_run
from mindcode.checkpoint.sources.open import open_source


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a manifest, a folder with manifests, a rank's file of a run, a .ckpt, or a source of weights.

    Raises UserError for what is missing, damaged or ambiguous.
    """
    manifest = manifest_at(path)
    return open_run(manifest) if manifest else _complete(path)


def _complete(path: Path) -> Checkpoint:
    if path.suffix == ".ckpt":
        return of_entries(path, scan_ckpt(path))
    source = open_source(path)
    if source.path.suffix == ".ckpt" or (path.is_dir() and source.files[0].suffix == ".ckpt"):
        return _complete(source.files[0])
    tensors = {
        name: SlicedTensor(name, tensor.dtype, tensor.shape, (block_of_rows(tensor),))
        for name, tensor in source.tensors.items()
    }
    return Checkpoint(path, tensors, {}, None, tuple(source.files))


def of_entries(path: Path, entries: Iterable[CkptEntry]) -> Checkpoint:
    """Return a checkpoint of the entries of a complete .ckpt file."""
    tensors, state = {}, {}
    for entry in entries:
        if entry.shape == () or entry.dtype == STRING:
            state[entry.name] = read_entry(path, entry)
        else:
            block = block_in_ckpt(path, entry, (0,) * len(entry.shape))
            tensors[entry.name] = SlicedTensor(entry.name, entry.dtype, entry.shape, (block,))
    return Checkpoint(path, tensors, state, None, (path,))
