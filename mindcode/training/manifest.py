"""manifest.json: what a run was, so that it can be repeated, and so that its folder is not mistaken for another's."""

import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindcode.config.loader import to_dict
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.parallel.dims import Coordinates, ParallelDims, stage_of_layers
from mindcode.utils.atomic import atomic_open
from mindcode.utils.fingerprint import fingerprint

MANIFEST = "manifest.json"
_FREE = (
    *("engine", "resume_training", "run_mode", "output_dir", "load_checkpoint", "auto_trans_ckpt"),
    "bigcode_eval_harness",
)
"""Keys that may differ between two commands of one run; what weights it started from is compared by content."""


def describe(config: RunConfig, data_files: Iterable[Path], weights: Path | None) -> dict[str, Any]:
    """Return the manifest of a run that is about to start from `weights`, a file or a folder, or from random ones."""
    packages = ("mindcode", "mindspore", "numpy")
    return {
        "config": to_dict(config),
        "seed": config.seed,
        "device": config.context.device_target,
        "dtype": config.model.model_config.compute_dtype,
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "split": split_of(config),
        "weights": {str(path): fingerprint(path) for path in _files(weights)},
        "data": {str(path): fingerprint(path) for path in data_files},
    }


def _files(weights: Path | None) -> list[Path]:
    if weights is None:
        return []
    return sorted(path for path in weights.iterdir() if path.is_file()) if weights.is_dir() else [weights]


def split_of(config: RunConfig) -> dict[str, Any]:
    """Return how the work is shared: degrees, and for each pipeline stage its layers and the ranks of each copy."""
    dims, model = ParallelDims.of(config), config.model.model_config
    layers = stage_of_layers(model.num_layers, dims.pipeline_stage, model.offset)
    return {
        "processes": dims.world_size,
        "data_parallel": dims.data_parallel,
        "model_parallel": dims.model_parallel,
        "pipeline_stage": dims.pipeline_stage,
        "sequence_slices": config.parallel_config.use_seq_parallel and dims.model_parallel > 1,
        "sharded_optimizer": config.parallel.enable_parallel_optimizer and dims.data_parallel > 1,
        "micro_batches": micro_batches_per_step(config),
        "stages": [
            {
                "layers": [layers.index(stage), layers.index(stage) + layers.count(stage) - 1],
                "ranks": [
                    [dims.rank(Coordinates(stage, replica, part)) for part in range(dims.model_parallel)]
                    for replica in range(dims.data_parallel)
                ],
            }
            for stage in range(dims.pipeline_stage)
        ],
    }


def yardstick(peak_flops: float | None) -> dict[str, Any]:
    """Return what MFU was measured against, for the manifest."""
    return {"peak_tflops_per_process": round(peak_flops / 1e12, 4)} if peak_flops else {}


def write(output_dir: Path, manifest: dict[str, Any]) -> None:
    """Write manifest.json."""
    with atomic_open(output_dir / MANIFEST) as stream:
        json.dump(manifest, stream, indent=1, ensure_ascii=False)


def difference(output_dir: Path, manifest: dict[str, Any]) -> str | None:
    """Return the first difference in configuration, data or start to the run that output_dir holds, or None.

    A command that names no weights continues a run that started from any.
    """
    try:
        earlier = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours, theirs = _compared(manifest), _compared(earlier)
    for key in [*ours, *theirs]:
        if ours.get(key) != theirs.get(key):
            return f"{key}: {theirs.get(key)}, now {ours.get(key)}"
    if _contents(manifest, "data") != _contents(earlier, "data"):
        return "train_dataset: other rows"
    if manifest["weights"] and _contents(manifest, "weights") != _contents(earlier, "weights"):
        return "load_checkpoint: other weights than it started from"
    return None


def _compared(manifest: dict[str, Any]) -> dict[str, Any]:
    return _flat({key: value for key, value in manifest.get("config", {}).items() if key not in _FREE})


def _contents(manifest: dict[str, Any], part: str) -> list[str]:
    """Return the hashes of files, wherever they lie now."""
    return sorted(manifest.get(part, {}).values())


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.loads(json.dumps(value))
    return flat
