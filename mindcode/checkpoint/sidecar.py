"""What a run needs besides the weights: the sizes as a YAML file, and the tokenizer's files, beside the weights."""

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path

import yaml

from mindcode.config.model_schema import ModelConfig
from mindcode.data.tokenizer import load_tokenizer
from mindcode.utils.atomic import atomic_open, atomic_path
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
RUN_FOLDERS = ("checkpoint", "checkpoint_network")
"""What a run keeps its weights in."""
WEIGHT_SUFFIXES = (".ckpt", ".safetensors", ".gguf", ".bin", ".pth", ".pt")
"""What files of weights end in; a folder's name may hold any other dot (`Tiny-1.1B`)."""
_SIZES = (
    "seq_length",
    "hidden_size",
    "num_layers",
    "num_heads",
    "n_kv_heads",
    "vocab_size",
    "intermediate_size",
    "max_position_embedding",
    "rms_norm_eps",
    "theta",
    "extend_method",
    "scaling_factor",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
_HEADER = """\
# The sizes of {weights}, written by `mindcode convert`.
# A run takes them with `base_config: {name}` and sets its own seq_length, formats and generation defaults.
"""


def sidecar_path(weights: Path) -> Path:
    """`model.ckpt` -> `model.yaml`; a folder of weights has `model.yaml` inside."""
    return weights.with_suffix(".yaml") if weights.suffix in WEIGHT_SUFFIXES else weights / "model.yaml"


def write_sidecar(path: Path, config: ModelConfig, weights: str) -> None:
    """Write the sizes of `config` as a YAML file that `load_config` reads alone or as a base."""
    values = dataclasses.asdict(dataclasses.replace(config, intermediate_size=config.ffn_size))
    sizes = {key: list(values[key]) if isinstance(values[key], tuple) else values[key] for key in _SIZES}
    with atomic_open(path) as stream:
        stream.write(_HEADER.format(weights=weights, name=path.name))
        yaml.safe_dump({"model": {"model_config": sizes}}, stream, sort_keys=False)


def tokenizer_folders(weights: Path) -> list[Path]:
    """Return where the tokenizer of weights may lie: beside them, or in the folder of the run that wrote them."""
    beside = weights if weights.is_dir() else weights.parent
    runs = [folder.parent for folder in (beside, *beside.parents) if folder.name in RUN_FOLDERS]
    return [beside, *runs[:1]]


def copy_tokenizer(folders: Iterable[Path], target: Path, vocab_size: int) -> list[str]:
    """Copy the tokenizer's files from the first folder that has a tokenizer for `vocab_size` rows; return their names.

    A tokenizer with more pieces than rows is another network's. One that cannot be read here is copied as it is.
    """
    for folder in folders:
        names = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
        if {"tokenizer.json", "tokenizer.model", "vocab.json"}.isdisjoint(names):
            continue
        pieces = _pieces(folder)
        if pieces > vocab_size:
            get_logger().warning(
                "%s: its tokenizer has %d pieces, the network %d; not copied", folder, pieces, vocab_size
            )
            continue
        for name in names:
            _copy(folder / name, target / name)
        return names
    return []


def _pieces(folder: Path) -> int:
    """The number of pieces, or 0 when nothing here can read the tokenizer."""
    try:
        return load_tokenizer(folder).vocab_size
    except UserError:
        return 0


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        if target.samefile(source) or target.read_bytes() == source.read_bytes():
            return
        get_logger().warning("%s: replaced by the one of %s", target, source.parent)
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
