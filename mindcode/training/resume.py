"""Where a run starts: from the first step, or from a checkpoint that it or another run left."""

from pathlib import Path
from typing import Any

from mindcode.checkpoint.store import CheckpointStore
from mindcode.config.schema import RunConfig
from mindcode.training import manifest as manifests
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import nearest


def checkpoint_to_continue(config: RunConfig, store: CheckpointStore, manifest: dict[str, Any]) -> Path | None:
    """Return the checkpoint to continue from, or None to start at the first step.

    With resume_training True it is the newest whole one of load_checkpoint, if that is a folder, or of output_dir; a
    name picks one. Without it, a run of the same configuration and data continues by itself, and a folder that holds
    the checkpoints of another run is refused with UserError.
    """
    if isinstance(config.resume_training, str):
        return _named(_folder(config, store), config.resume_training)
    if config.resume_training:
        source = Path(config.load_checkpoint)
        other = config.load_checkpoint and source.is_dir() and source.resolve() != store.folder.parent.resolve()
        found = store.at(_folder(config, store)).newest() if other else store.newest()
        if found is None:
            get_logger().info("resume_training: no checkpoint in %s yet; starting at the first step", store.folder)
        return found
    found = store.newest()
    difference = manifests.difference(Path(config.output_dir), manifest) if found else None
    if difference:
        raise UserError(
            f"{config.output_dir}: holds checkpoints of another run ({difference}); give another --output_dir, "
            "or continue that run as configured now with --resume_training True"
        )
    return found


def weights_file(config: RunConfig) -> Path | None:
    """Return the .ckpt file to start from: load_checkpoint itself, or the only one in that folder or its rank_0."""
    given = config.load_checkpoint or config.model.model_config.checkpoint_name_or_path
    if not given:
        return None
    path = Path(given)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.ckpt")) or sorted(path.glob("rank_0/*.ckpt"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:3]) or "none"
        raise UserError(f"load_checkpoint: {path} holds {len(found)} .ckpt files ({names}); name the file to load")
    return found[0]


def _folder(config: RunConfig, store: CheckpointStore) -> Path:
    given = Path(config.load_checkpoint)
    if not config.load_checkpoint or not given.is_dir():
        return store.folder
    return given / store.folder.name if (given / store.folder.name).is_dir() else given


def _named(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        known = sorted(file.name for file in folder.glob("*.ckpt"))
        raise UserError(f"resume_training: {path}: no such file{nearest(name, known)}")
    return path
