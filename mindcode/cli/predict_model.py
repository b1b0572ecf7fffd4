"""What `mindcode predict` loads: weights, tokenizer, and the engine made of both."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindcode.checkpoint.convert import select_weights
from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.runs import manifest_at
from mindcode.checkpoint.sidecar import tokenizer_folders
from mindcode.checkpoint.sources.open import open_source
from mindcode.checkpoint.sources.types import Source
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.data.tokenizer import Tokenizer, load_tokenizer
from mindcode.data.tokenizer_files import find_tokenizer
from mindcode.generation.engine import Engine, longest_text
from mindcode.generation.prompts import end_ids
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan
from mindcode.utils.errors import UserError
from mindcode.utils.fingerprint import fingerprint

if TYPE_CHECKING:
    from mindcode.cli.predict_team import Team

_TOKENIZER_NAMES = ("tokenizer.model", "tokenizer.json")


class LoadedModel(NamedTuple):
    """The files that an answer depends on, and the network's configuration with them taken into account."""

    source: Source
    tokenizer_path: Path
    tokenizer: Tokenizer
    model: ModelConfig
    cache_length: int
    """Longest prompt plus answer, in tokens."""


def weights_path(config: RunConfig) -> Path:
    """Return the weights that the configuration names; of a run's folder the newest checkpoint."""
    name = config.load_checkpoint or config.model.model_config.checkpoint_name_or_path
    if not name:
        raise UserError("load_checkpoint: empty; give --load_checkpoint FILE.ckpt")
    path = Path(name)
    return manifest_at(path) or path if path.exists() else path


def find_model(config: RunConfig, model_file: Path | None, weights: Path) -> LoadedModel:
    """Open `weights` and find the tokenizer. Raises UserError when one is missing or they cannot belong together."""
    model = config.model.model_config
    source = open_source(weights)
    named = model_file or find_tokenizer_file(config.processor.tokenizer.vocab_file, source.files[0])
    tokenizer_path = find_tokenizer(named).path
    tokenizer = load_tokenizer(tokenizer_path)
    if tokenizer.vocab_size > model.vocab_size:
        raise UserError(
            f"{tokenizer_path}: {tokenizer.vocab_size} pieces, but model.model_config.vocab_size is "
            f"{model.vocab_size}; give --model_file with the tokenizer of this model"
        )
    model = dataclasses.replace(model, eos_token_id=end_ids(tokenizer, model.eos_token_ids))
    return LoadedModel(source, tokenizer_path, tokenizer, model, longest_text(model))


def build_engine(team: "Team", config: RunConfig, loaded: LoadedModel, batch_size: int) -> Engine:
    """Have all processes read their weights and put them on their devices."""
    steps = team.crew.steps(batch_size, team.build(config, loaded))
    return Engine(steps, loaded.model, loaded.tokenizer, loaded.cache_length)


def read_blocks(loaded: LoadedModel, parts: int, part: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the block of each weight that process `part` of `parts` holds, in float32, reading nothing else.

    Raises UserError for weights that are missing, left over, or of another shape.
    """
    select_weights(loaded.source, loaded.model)
    checkpoint = open_checkpoint(loaded.source.path)
    placements = Plan(loaded.model, ParallelDims(model_parallel=parts)).local_parameters(part)
    for name, block in checkpoint.read(placements):
        yield name, to_float32(block, checkpoint.tensors[name].dtype)


def identity(loaded: LoadedModel) -> dict[str, str]:
    """Name what decides the answers: weights, tokenizer, number format, length."""
    return {
        "weights": fingerprint(*loaded.source.files),
        "tokenizer": fingerprint(loaded.tokenizer_path),
        "compute_dtype": loaded.model.compute_dtype,
        "longest": str(loaded.cache_length),
    }


def find_tokenizer_file(configured: str, weights: Path, remedy: str = "give --model_file PATH") -> Path:
    """Take processor.tokenizer.vocab_file, else what lies beside the weights, or in the folder of their run."""
    if configured and Path(configured).exists():
        return Path(configured)
    folders = tokenizer_folders(weights)
    for path in (folder / name for folder in folders for name in _TOKENIZER_NAMES):
        if path.is_file():
            return path
    names = " or ".join(_TOKENIZER_NAMES)
    also = f", and processor.tokenizer.vocab_file {configured!r} does not exist" if configured else ""
    raise UserError(f"{folders[0]}: no {names} beside the weights{also}; {remedy}")
