"""Weights of any source -> MindSpore .ckpt or safetensors under MindFormers' names.

    summary = convert_weights(Conversion(Path("model.gguf"), Path("model.ckpt")))

Nothing is written before every name and shape is checked; the output appears when all of it is on the disk, with the
sizes (a YAML file) and the tokenizer beside it.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindcode.checkpoint.dtypes import BY_FLAG, FLOAT32
from mindcode.checkpoint.names import EMBEDDING, HEAD
from mindcode.checkpoint.place import FILE_SUFFIXES, check_kind, check_place
from mindcode.checkpoint.safetensors_file import TensorSpec
from mindcode.checkpoint.sidecar import copy_tokenizer, sidecar_path, write_sidecar
from mindcode.checkpoint.sources.open import open_source
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.stream import Piece, copy_tensors, same_numbers
from mindcode.checkpoint.targets import Target, open_file, open_shards
from mindcode.checkpoint.tensors import LazyTensor
from mindcode.config.loader import load_config
from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import parameter_shapes
from mindcode.utils.atomic import atomic_dir
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import lookup

MAX_SHARD_BYTES = 5 * 10**9
_STATED = ("theta", "rms_norm_eps", "extend_method", "num_heads", "n_kv_heads")


@dataclass(frozen=True)
class Conversion:
    """What to convert, and how."""

    source: Path
    """A file or folder of weights."""
    output: Path
    """A .ckpt or .safetensors file, or a folder."""
    dtype: str | None = None
    """fp32, fp16, bf16; None keeps the source's format (fp32 for quantised sources)."""
    config: Path | None = None
    """A YAML file with the sizes; None takes those that the source states."""
    max_shard_bytes: int = MAX_SHARD_BYTES
    """Largest safetensors file in a folder."""
    stated_sizes: tuple[tuple[str, int], ...] = ()
    """Sizes by the names of ModelConfig that the network must have."""


@dataclass(frozen=True)
class Summary:
    """What was written."""

    path: Path
    tensors: int
    nbytes: int
    seconds: float


def convert_weights(job: Conversion) -> Summary:
    """Convert to a .ckpt or .safetensors file, or to a folder of safetensors, under MindFormers' names.

    Raises UserError for every input that is not a whole Llama network, and for an output that cannot be written.
    """
    begin = time.monotonic()
    with failures_named(job):
        source = open_source(job.source)
        config = config_of(source, job)
        pieces = choose_formats(select_weights(source, config), source, job.dtype)
        check_place_of(job, source, pieces)
        check_kind(job.output)
        with _open_target(job, [spec for spec, _ in pieces]) as (target, folder):
            written = copy_tensors(pieces, target, "convert")
            write_sidecar(folder / sidecar_path(job.output).name, config, job.output.name)
            _write_tokenizer(source, config.vocab_size, folder)
    return Summary(job.output, len(pieces), written, time.monotonic() - begin)


def config_of(source: Source, job: Conversion) -> ModelConfig:
    """The sizes: of `--config`, else those that the source states, else those in the YAML file beside a .ckpt."""
    config = _find_config(source, job)
    for name, stated in job.stated_sizes:
        if getattr(config, name) != stated:
            raise UserError(f"{source.path}: {name} is {getattr(config, name)}, and the command line says {stated}")
    return config


def _find_config(source: Source, job: Conversion) -> ModelConfig:
    if job.config is not None:
        config = load_config(job.config).model.model_config
        _warn_of_differences(source, config, job.config)
        return config
    if source.config is not None:
        return source.config
    beside = sidecar_path(source.path)
    if beside.is_file():
        return load_config(beside).model.model_config
    raise UserError(f"{source.path}: no config.json or {beside.name} beside it; give the sizes with --config FILE.yaml")


def _warn_of_differences(source: Source, config: ModelConfig, file: Path) -> None:
    for name in _STATED if source.config else ():
        ours, theirs = getattr(config, name), getattr(source.config, name)
        if ours != theirs:
            get_logger().warning("%s: %s is %s, but %s says %s", file, name, ours, source.path, theirs)


def select_weights(source: Source, config: ModelConfig) -> list[tuple[str, LazyTensor]]:
    """The network's weights in order; raises UserError for a missing or unexpected name and for a wrong shape."""
    shapes = parameter_shapes(config)
    found = dict(source.tensors)
    if config.tie_word_embeddings and HEAD in found:
        _check_copy(source, found[EMBEDDING], found.pop(HEAD))
    missing = [name for name in shapes if name not in found]
    if missing:
        hint = "; is the head tied (tie_word_embeddings)?" if missing == [HEAD] else ""
        raise UserError(f"{source.path}: {len(missing)} weights are missing, first {missing[0]!r}{hint}")
    surplus = [*source.unknown, *(tensor.name for name, tensor in found.items() if name not in shapes)]
    if surplus:
        layers = f"a Llama network of {config.num_layers} layers"
        raise UserError(f"{source.path}: {len(surplus)} tensors do not belong to {layers}, first {surplus[0]!r}")
    for name, shape in shapes.items():
        if found[name].shape != shape:
            expected = f"the sizes in the configuration need {list(shape)}"
            raise UserError(f"{source.path}: {found[name].name!r} has shape {list(found[name].shape)}; {expected}")
    return [(name, found[name]) for name in shapes]


def _check_copy(source: Source, embedding: LazyTensor | None, head: LazyTensor) -> None:
    if embedding is not None and not same_numbers(embedding, head):
        raise UserError(
            f"{source.path}: {head.name!r} differs from the embedding, but the configuration ties them; "
            "set tie_word_embeddings to false"
        )


def choose_formats(weights: Sequence[tuple[str, LazyTensor]], source: Source, dtype: str | None) -> list[Piece]:
    """Give every weight the format it is written in."""
    fixed = lookup(BY_FLAG, dtype, "--dtype").name if dtype else (FLOAT32 if source.quantised else None)
    return [(TensorSpec(name, fixed or tensor.dtype, tensor.shape), tensor) for name, tensor in weights]


def check_place_of(job: Conversion, source: Source, pieces: Sequence[Piece]) -> None:
    """Raise UserError when the output would replace an input, or the disk has too little room for it."""
    inputs = [source.path, *source.files, *([job.config] if job.config else [])]
    check_place(job.output, inputs, sum(spec.nbytes for spec, _ in pieces))


@contextlib.contextmanager
def _open_target(job: Conversion, specs: Sequence[TensorSpec]) -> Iterator[tuple[Target, Path]]:
    """Yield the target and the folder for what goes beside the weights."""
    if job.output.suffix in FILE_SUFFIXES:
        with open_file(job.output, specs) as target:
            yield target, job.output.parent
        return
    with atomic_dir(job.output) as folder, open_shards(folder, specs, {"format": "ms"}, job.max_shard_bytes) as target:
        yield target, folder


def _write_tokenizer(source: Source, vocab_size: int, folder: Path) -> None:
    if source.path.suffix == ".gguf":
        from mindcode.checkpoint.gguf_tokenizer import write_gguf_tokenizer

        write_gguf_tokenizer(source.path, folder)
    elif not copy_tokenizer(_tokenizer_folders(source), folder, vocab_size):
        get_logger().warning("%s: no tokenizer files beside the weights, so none were written", source.path)


def _tokenizer_folders(source: Source) -> list[Path]:
    """Beside the weights; Meta keeps one tokenizer above the folders of all sizes."""
    home = source.path if source.path.is_dir() else source.path.parent
    return [home, home.resolve().parent] if source.files[0].suffix == ".pth" else [home]


@contextlib.contextmanager
def failures_named(job: Conversion) -> Iterator[None]:
    """Turn failures of the file system into UserError in one line."""
    try:
        yield
    except OSError as error:
        place = error.filename or job.output
        raise UserError(f"{place}: {error.strerror or error} while {job.output} was written") from error
