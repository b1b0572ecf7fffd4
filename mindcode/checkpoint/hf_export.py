"""Weights under MindFormers' names -> a Hugging Face folder that transformers loads unchanged.

config.json, model.safetensors (or shards and their index) and the tokenizer's files. The sizes come from `--config`, or
from the YAML file that the forward conversion left beside the weights.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from mindcode.checkpoint.convert import (
    Conversion,
    Summary,
    check_place_of,
    choose_formats,
    config_of,
    failures_named,
    select_weights,
)
from mindcode.checkpoint.dtypes import FORMATS
from mindcode.checkpoint.hf_config import config_to_hf
from mindcode.checkpoint.names import EMBEDDING, translate
from mindcode.checkpoint.place import check_folder
from mindcode.checkpoint.sidecar import copy_tokenizer, tokenizer_folders
from mindcode.checkpoint.sources.open import open_source
from mindcode.checkpoint.stream import Piece, copy_tensors
from mindcode.checkpoint.targets import open_shards
from mindcode.config.loader import load_config
from mindcode.utils.atomic import atomic_dir
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import write_json
from mindcode.utils.log import get_logger


def export_hugging_face(job: Conversion) -> Summary:
    """Write the folder `job.output`; raises UserError as `convert_weights` does."""
    begin = time.monotonic()
    with failures_named(job):
        source = open_source(job.source)
        config = config_of(source, job)
        pieces = _renamed(choose_formats(select_weights(source, config), source, job.dtype))
        check_place_of(job, source, pieces)
        check_folder(job.output)
        with atomic_dir(job.output) as folder:
            specs = [spec for spec, _ in pieces]
            with open_shards(folder, specs, {"format": "pt"}, job.max_shard_bytes) as target:
                written = copy_tensors(pieces, target, "export")
            write_json(folder / "config.json", config_to_hf(config, _torch_dtype(pieces)))
            if not copy_tokenizer(_tokenizer_folders(job), folder, config.vocab_size):
                get_logger().warning("%s: no tokenizer files beside it, so none were written", job.source)
    return Summary(job.output, len(pieces), written, time.monotonic() - begin)


def _renamed(pieces: Sequence[Piece]) -> list[Piece]:
    return [(spec._replace(name=str(translate(spec.name, "ours", "hugging_face"))), tensor) for spec, tensor in pieces]


def _torch_dtype(pieces: Sequence[Piece]) -> str:
    """The format of the embedding, which stands for the model."""
    name = translate(EMBEDDING, "ours", "hugging_face")
    form = next(spec.dtype for spec, _ in pieces if spec.name == name)
    if not FORMATS[form].torch:
        raise UserError(f"{name} has format {form}; choose --dtype fp32, fp16 or bf16")
    return FORMATS[form].torch


def _tokenizer_folders(job: Conversion) -> list[Path]:
    """Where the tokenizer may be: with the weights, or where the configuration names it."""
    folders = tokenizer_folders(job.source)
    if job.config is not None:
        vocab = load_config(job.config).processor.tokenizer.vocab_file
        named = Path(vocab) if vocab else folders[0]
        folders.insert(0, named if named.is_dir() else named.parent)
    return folders
