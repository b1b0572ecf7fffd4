"""Where a run starts: from the first step, or from a checkpoint that it or another run left, in any split."""

from pathlib import Path
from typing import Any

from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.runs import Checkpoint, newest_in
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.schema import RunConfig
from mindcode.parallel.dims import ParallelDims
from mindcode.training import manifest as manifests
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import nearest


def checkpoint_to_continue(config: RunConfig, store: ShardedStore, manifest: dict[str, Any]) -> Path | None:
    """Return the checkpoint to continue from, or None to start at the first step.

    With resume_training True it is the newest one that all ranks have whole: of output_dir, or, when that holds none of
    this run, of load_checkpoint, if that is a folder; a name picks one. Without it, a run of the same configuration and
    data continues by itself, and a folder that holds the checkpoints of another run is refused with UserError.
    """
    given = Path(config.load_checkpoint)
    other = given if config.load_checkpoint and given.is_dir() else None
    if isinstance(config.resume_training, str):
        return _named(other or store.folder, config.resume_training)
    found = store.newest()
    difference = manifests.difference(Path(config.output_dir), manifest) if found else None
    if config.resume_training:
        if other and (found is None or difference):
            found = newest_in(other) or found
        if found is None:
            get_logger().info("resume_training: no checkpoint in %s yet; starting at the first step", store.folder)
        return found
    if difference:
        raise UserError(
            f"{config.output_dir}: holds checkpoints of another run ({difference}); give another --output_dir, "
            "or continue that run as configured now with --resume_training True"
        )
    return found


def open_in_split(path: Path, config: RunConfig) -> Checkpoint:
    """Open a checkpoint for the split of this run.

    Raises UserError when it was written in another one and auto_trans_ckpt does not allow to reshard it; a complete
    file belongs to no split, every process takes its part of it.
    """
    checkpoint, dims = open_checkpoint(path), ParallelDims.of(config)
    if checkpoint.dims and checkpoint.dims != dims and not config.auto_trans_ckpt:
        raise UserError(
            f"{checkpoint.path}: written with {checkpoint.dims.in_words}, this run has {dims.in_words}; add "
            "--auto_trans_ckpt True to reshard it while loading"
        )
    return checkpoint


def starting_weights(config: RunConfig) -> Path | None:
    """Return what a run starts from: weights_file, unless load_checkpoint is another run that is to be continued."""
    given = Path(config.load_checkpoint)
    continues = config.resume_training and config.load_checkpoint and given.is_dir() and newest_in(given)
    return None if continues else weights_file(config)


def weights_file(config: RunConfig) -> Path | None:
    """Return what to start from: load_checkpoint itself, or what it holds when it is a folder.

    That is a checkpoint of a run, the only .ckpt file in it or its rank_0, or else weights in another format.
    """
    given = config.load_checkpoint or config.model.model_config.checkpoint_name_or_path
    if not given:
        return None
    path = Path(given)
    if not path.is_dir():
        return path
    if manifest := newest_in(path):
        return manifest
    found = sorted(path.glob("*.ckpt")) or sorted(path.glob("rank_0/*.ckpt"))
    if len(found) > 1:
        names = ", ".join(file.name for file in found[:3])
        raise UserError(f"load_checkpoint: {path} holds {len(found)} .ckpt files ({names}); name the file to load")
    if found and any(path.glob("rank_1/*.ckpt")):
        raise UserError(
            f"load_checkpoint: {path}: files of several ranks without a manifest; join them with "
            "mindcode ckpt merge --src_strategy first"
        )
    return found[0] if found else path


def _named(folder: Path, name: str) -> Path:
    """Return the checkpoint called by the name of its manifest or of any rank's file."""
    places = [folder / name, *sorted(folder.glob(f"rank_*/{name}")), *sorted(folder.glob(f"checkpoint/rank_*/{name}"))]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        known = sorted({file.name for file in folder.rglob("*.ckpt")})
        raise UserError(f"resume_training: {folder / name}: no such file{nearest(name, known)}")
    return path
