"""GGUF: every quantisation equals its definition, llama.cpp's permutation is undone, sizes come from the metadata."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from helpers.weights import (
    add_gguf_tensor,
    finish_gguf,
    hf_config,
    interleaved,
    random_weights,
    start_gguf,
)

from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.names import translate
from mindcode.checkpoint.sources.gguf import open_gguf
from mindcode.utils.errors import UserError

HEAD_DIM = 64
Scalars = Callable[[np.ndarray], list[float]]


def half(block: np.ndarray, offset: int) -> float:
    return float(block[offset : offset + 2].view(np.float16)[0])


def q4_k(block: np.ndarray) -> list[float]:
    """256 numbers in 144 bytes: two halfs, eight 6-bit scales and minima packed in 12 bytes, 128 bytes of nibbles."""
    scale, minimum, packed, nibbles = half(block, 0), half(block, 2), block[4:16].astype(int), block[16:].astype(int)
    values = []
    for group in range(8):
        if group < 4:
            s, m = packed[group] & 63, packed[group + 4] & 63
        else:
            s = (packed[group + 4] & 15) | (packed[group - 4] >> 6 << 4)
            m = (packed[group + 4] >> 4) | (packed[group] >> 6 << 4)
        for place in range(32):
            byte = nibbles[group // 2 * 32 + place]
            values.append(scale * s * (byte >> 4 if group % 2 else byte & 15) - minimum * m)
    return values


def q6_k(block: np.ndarray) -> list[float]:
    """256 numbers in 210 bytes: 128 bytes of low nibbles, 64 of high pairs of bits, 16 signed scales, one half."""
    low, high = block[:128].astype(int), block[128:192].astype(int)
    scales, factor = block[192:208].view(np.int8).astype(int), half(block, 208)
    values = []
    for index in range(256):
        part, place = divmod(index, 128)
        quarter, column = divmod(place, 32)
        nibble = low[part * 64 + quarter % 2 * 32 + column] >> (4 * (quarter // 2)) & 15
        pair = high[part * 32 + column] >> (2 * quarter) & 3
        values.append(factor * scales[index // 16] * ((nibble | pair << 4) - 32))
    return values


def random_blocks(shape: tuple[int, ...], size: int, halfs: tuple[int, ...]) -> np.ndarray:
    """Random bytes for `shape` in blocks of 256 numbers and `size` bytes, with small finite numbers at `halfs`."""
    rows, columns = shape
    blocks = np.random.default_rng(rows).integers(0, 256, (rows, columns // 256, size), dtype=np.uint8)
    for offset in halfs:
        blocks[..., offset : offset + 2] = np.array([0.01], np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def in_blocks(content: np.ndarray, shape: tuple[int, ...], size: int, scalars: Scalars) -> np.ndarray:
    return np.array([scalars(block) for block in content.reshape(-1, size)], np.float32).reshape(shape)


def encoded(weight: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of a matrix in format `kind`, and the numbers that they stand for."""
    if kind == "Q4_K":
        content = random_blocks(weight.shape, 144, (0, 2))
        return content, in_blocks(content, weight.shape, 144, q4_k)
    if kind == "Q6_K":
        content = random_blocks(weight.shape, 210, (208,))
        return content, in_blocks(content, weight.shape, 210, q6_k)
    number = GGMLQuantizationType[kind]
    content = quants.quantize(weight, number)
    return content, quants.dequantize(content, number)


def write(path: Path, kind: str, tied: bool) -> dict[str, np.ndarray]:
    """Write the random network, matrices in format `kind`; return what must be found, by Hugging Face's names."""
    config = hf_config(tie_word_embeddings=tied, vocab_size=16, rope_theta=500000.0)
    writer = start_gguf(path, config)
    expected = {}
    for name, weight in random_weights(config).items():
        if weight.ndim == 1:
            writer.add_tensor(translate(translate(name, "hugging_face", "ours") or "", "ours", "gguf"), weight)
            expected[name] = weight
            continue
        content, numbers = encoded(weight, kind)
        if "q_proj" in name or "k_proj" in name:  # rows are independent, so the bytes may be permuted as well
            content = interleaved(content, HEAD_DIM)
        add_gguf_tensor(writer, name, content, GGMLQuantizationType[kind])
        expected[name] = numbers
    finish_gguf(writer)
    return expected


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K"])
def test_every_format_gives_the_numbers_it_stands_for(tmp_path: Path, kind: str) -> None:
    tied = kind.endswith("K")
    expected = write(tmp_path / "model.gguf", kind, tied)
    source = open_gguf(tmp_path / "model.gguf")
    assert source.config is not None
    assert source.config.tie_word_embeddings == tied
    assert (source.config.theta, source.config.kv_heads, source.config.rms_norm_eps) == (500000.0, 2, 1e-5)
    assert source.quantised == kind.startswith("Q")
    assert set(source.tensors) == {translate(name, "hugging_face", "ours") for name in expected}
    # the scalar definitions of the K formats multiply in float64, the package in float32: one rounding each
    tolerance = 1e-6 if kind.endswith("K") else 0.0
    for name, numbers in expected.items():
        tensor = source.tensors[translate(name, "hugging_face", "ours") or ""]
        found = to_float32(tensor.read(), tensor.dtype)
        np.testing.assert_allclose(found, np.asarray(numbers, np.float32), rtol=tolerance, atol=tolerance)


def test_small_blocks_of_rows_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "model.gguf", "Q4_1", tied=True)
    source = open_gguf(tmp_path / "model.gguf")
    whole = {name: tensor.read() for name, tensor in source.tensors.items()}
    monkeypatch.setattr("mindcode.checkpoint.tensors.BLOCK_BYTES", 70_000)
    for name, tensor in source.tensors.items():
        assert np.array_equal(np.concatenate([tensor.read_rows(*rows) for rows in tensor.blocks()]), whole[name])


@pytest.mark.parametrize("length", [0, 3, 20, 300, 1000, 40_000])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.gguf"
    write(path, "Q4_0", tied=True)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"truncated|not a GGUF"):
        open_gguf(path)


def test_llama3_frequencies_are_recognised_and_others_refused(tmp_path: Path) -> None:
    config = hf_config(rope_theta=500000.0)
    powers = 500000.0 ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    wavelength = 2 * np.pi / powers
    blend = (8192 / wavelength - 1) / 3
    divisors = np.where(wavelength < 2048, 1.0, np.where(wavelength > 8192, 32.0, 1 / ((1 - blend) / 32 + blend)))
    for name, table in (("good", divisors), ("bad", divisors + 0.5)):
        writer = start_gguf(tmp_path / f"{name}.gguf", config)
        writer.add_tensor("rope_freqs.weight", table.astype(np.float32))
        for weight, values in random_weights(config).items():
            add_gguf_tensor(writer, weight, values, GGMLQuantizationType.F32)
        finish_gguf(writer)
    found = open_gguf(tmp_path / "good.gguf").config
    assert found is not None
    assert found.extend_method == "LLAMA3"
    assert getattr(found.scaling_factor, "factor", None) == 32.0
    with pytest.raises(UserError, match=r"rope_freqs\.weight"):
        open_gguf(tmp_path / "bad.gguf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_attention_heads": 0}, r"model\.gguf: num_heads: 0, expected at least 1"),
        ({"rms_norm_eps": float("nan")}, r"model\.gguf: rms_norm_eps: 'nan', expected a number"),
    ],
)
def test_sizes_that_no_network_has_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    config = hf_config()
    writer = start_gguf(tmp_path / "model.gguf", config | change)
    for weight, values in random_weights(config).items():
        add_gguf_tensor(writer, weight, values, GGMLQuantizationType.F32)
    finish_gguf(writer)
    with pytest.raises(UserError, match=message):
        open_gguf(tmp_path / "model.gguf")


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write(path, "F32", tied=True)
    path.write_bytes(
        path.read_bytes().replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05" + bytes(7) + b"gemma", 1)
    )
    with pytest.raises(UserError, match="architecture 'gemma'; only 'llama'"):
        open_gguf(path)
