"""GGUF files as a source: sizes from the metadata, blocks dequantised row by row, llama.cpp's permutation undone."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from mindcode.checkpoint.dtypes import BFLOAT16, FLOAT16, FLOAT32
from mindcode.checkpoint.gguf_file import GgufFile, GgufTensor, read_gguf
from mindcode.checkpoint.names import EMBEDDING, HEAD, is_rotary_table, translate
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.stated_sizes import stated_sizes
from mindcode.checkpoint.tensors import LazyTensor, in_half_rotation, read_span, tensor_in_file
from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.utils.errors import UserError

_PLAIN = {"F32": FLOAT32, "F16": FLOAT16, "BF16": BFLOAT16}
_QUANTISED = ("Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K", "Q5_0", "Q5_1", "Q5_K", "Q2_K", "Q3_K")
_LLAMA3_LENGTH = 8192
# numpy handles a group of 16 such rows at a time: large enough to be quick, small enough to stay in the cache
_ROW_VALUES = 8192


def open_gguf(path: Path) -> Source:
    """Open a GGUF file with a Llama network; raises UserError for another architecture or an unknown quantisation."""
    file = read_gguf(path)
    layout = {tensor.name: _lazy(file, tensor) for tensor in file.tensors}
    weights = {translate(name, "gguf", "ours"): tensor for name, tensor in layout.items()}
    config = gguf_config(file, layout)
    ours = {name: _unpermuted(name, tensor, config) for name, tensor in weights.items() if name}
    unknown = [name for name in layout if not translate(name, "gguf", "ours") and not is_rotary_table(name)]
    quantised = any(GGMLQuantizationType(tensor.type_number).name in _QUANTISED for tensor in file.tensors)
    return Source(path, config, ours, tuple(unknown), (path,), quantised)


def gguf_config(file: GgufFile, tensors: dict[str, LazyTensor]) -> ModelConfig:
    """Read the sizes from the metadata (`llama.*`, `tokenizer.ggml.*`)."""
    data = file.metadata
    architecture = data.get("general.architecture")
    if architecture != "llama":
        raise UserError(f"{file.path}: architecture {architecture!r}; only 'llama' can be converted")

    def size(key: str) -> Any:
        if f"llama.{key}" not in data:
            raise UserError(f"{file.path}: no llama.{key} in its metadata; fetch it again")
        return data[f"llama.{key}"]

    names = {translate(name, "gguf", "ours"): name for name in tensors}
    if EMBEDDING not in names:
        raise UserError(f"{file.path}: token_embd.weight is missing; fetch it again")
    sizes = {
        "hidden_size": size("embedding_length"),
        "num_layers": size("block_count"),
        "num_heads": size("attention.head_count"),
        "n_kv_heads": data.get("llama.attention.head_count_kv"),
        "vocab_size": tensors[names[EMBEDDING]].shape[0],
        "intermediate_size": size("feed_forward_length"),
        "max_position_embedding": size("context_length"),
        "rms_norm_eps": _decimal(size("attention.layer_norm_rms_epsilon")),
        "theta": _decimal(data.get("llama.rope.freq_base")),
        "tie_word_embeddings": HEAD not in names,
        "bos_token_id": data.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": data.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": data.get("tokenizer.ggml.padding_token_id"),
    }
    return stated_sizes({**sizes, **_rope_scaling(file, tensors)}, file.path)


def _decimal(value: Any) -> Any:
    """A float32 from the file as the decimal number that was meant: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _rope_scaling(file: GgufFile, tensors: dict[str, LazyTensor]) -> dict[str, Any]:
    data = file.metadata
    kind, factor = data.get("llama.rope.scaling.type", "none"), _decimal(data.get("llama.rope.scaling.factor", 1.0))
    length = data.get("llama.rope.scaling.original_context_length")
    if "rope_freqs.weight" in tensors:
        llama3 = _llama3_scaling(file, tensors["rope_freqs.weight"].read())
        return {"extend_method": "LLAMA3", "scaling_factor": dataclasses.asdict(llama3)}
    if kind == "none" or (kind == "linear" and factor == 1.0):
        return {}
    if kind == "linear":
        return {"extend_method": "PI", "scaling_factor": factor}
    if kind == "yarn":
        yarn = {"factor": factor, "original_max_position_embedding": length}
        return {"extend_method": "YARN", "scaling_factor": yarn}
    raise UserError(f"{file.path}: llama.rope.scaling.type {kind!r} cannot be converted (known: none, linear, yarn)")


def _llama3_scaling(file: GgufFile, divisors: np.ndarray) -> RopeScaling:
    """Recognise Llama 3.1's rule in the table of divisors that llama.cpp stores instead of its parameters."""
    scaling = RopeScaling(float(divisors.max()), _LLAMA3_LENGTH, 1.0, 4.0)
    theta = file.metadata.get("llama.rope.freq_base", 10000.0)
    powers = theta ** (-np.arange(len(divisors)) / len(divisors))
    kept = np.clip((_LLAMA3_LENGTH * powers / (2 * np.pi) - 1.0) / 3.0, 0.0, 1.0)
    expected = 1.0 / (kept + (1.0 - kept) / scaling.factor)
    if not np.allclose(divisors, expected, rtol=1e-3):
        raise UserError(f"{file.path}: rope_freqs.weight does not follow Llama 3.1's rule, which is the only one known")
    return scaling


def _lazy(file: GgufFile, tensor: GgufTensor) -> LazyTensor:
    try:
        kind = GGMLQuantizationType(tensor.type_number)
    except ValueError as error:
        raise UserError(f"{file.path}: tensor {tensor.name!r} has unknown ggml type {tensor.type_number}") from error
    if kind.name not in (*_PLAIN, *_QUANTISED):
        known = ", ".join((*_PLAIN, *_QUANTISED))
        raise UserError(f"{file.path}: tensor {tensor.name!r} is {kind.name}, which cannot be read (known: {known})")
    block, block_bytes = GGML_QUANT_SIZES[kind]
    row_bytes = tensor.shape[-1] // block * block_bytes
    end = tensor.offset + row_bytes * int(np.prod(tensor.shape[:-1], dtype=np.int64))
    if end > file.path.stat().st_size:
        raise UserError(f"{file.path}: truncated in tensor {tensor.name!r}; fetch it again")
    if kind.name in _PLAIN:
        return tensor_in_file(file.path, tensor.name, _PLAIN[kind.name], tensor.shape, tensor.offset)
    if len(tensor.shape) != 2 or tensor.shape[-1] % block:
        raise UserError(f"{file.path}: tensor {tensor.name!r}: {kind.name} does not fit shape {list(tensor.shape)}")
    columns = tensor.shape[-1]

    def read_rows(start: int, stop: int) -> np.ndarray:
        content = read_span(file.path, tensor.offset + start * row_bytes, (stop - start) * row_bytes)
        return _dequantised(content, kind, block, block_bytes).reshape(stop - start, columns)

    return LazyTensor(tensor.name, FLOAT32, tensor.shape, read_rows)


def _dequantised(content: np.ndarray, kind: GGMLQuantizationType, block: int, block_bytes: int) -> np.ndarray:
    """Dequantise whole blocks; their arrangement into rows is free, so it is chosen for speed."""
    count = len(content) // block_bytes
    together = max(1, _ROW_VALUES // block)
    head = count // together * together * block_bytes
    pieces = [content[:head].reshape(-1, together * block_bytes), content[head:].reshape(-1, block_bytes)]
    values = [quants.dequantize(piece, kind).reshape(-1) for piece in pieces if piece.size]
    return values[0] if len(values) == 1 else np.concatenate(values)


def _unpermuted(name: str, tensor: LazyTensor, config: ModelConfig) -> LazyTensor:
    """Undo llama.cpp's order of query and key rows, which it stores in interleaved pairs within each head."""
    if not name.endswith(("attention.wq.weight", "attention.wk.weight")):
        return tensor
    return in_half_rotation(tensor, config.head_dim)
