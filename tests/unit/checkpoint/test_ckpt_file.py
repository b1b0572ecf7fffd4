"""MindSpore's .ckpt format: equal to MindSpore's own reader and writer, and nothing but whole files accepted."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.checkpoints import load_float32

from mindcode.checkpoint import file_writer
from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, read_ckpt, scan_ckpt
from mindcode.checkpoint.dtypes import bfloat16_to_float32, float32_to_bfloat16
from mindcode.utils.errors import UserError


def sample_records() -> list[TensorRecord]:
    matrix = np.random.default_rng(0).standard_normal((300, 100)).astype(np.float32)
    return [
        TensorRecord("model.wide", "Float32", matrix),
        TensorRecord("model.half", "Float16", matrix[:5].astype(np.float16)),
        TensorRecord("model.brain", "BFloat16", float32_to_bfloat16(matrix[:7])),
        TensorRecord("ids", "Int32", np.arange(10, dtype=np.int32)),
        TensorRecord("step", "Int64", np.array(7, np.int64)),
        TensorRecord("loss_scale", "Float32", np.array(65536, np.float32)),
        TensorRecord("mask", "Bool", np.array([True, False])),
        TensorRecord("note", "str", np.array("naïve")),
    ]


def write(path: Path, records: list[TensorRecord], slice_bytes: int = 1 << 20) -> Path:
    with CkptWriter(path, slice_bytes=slice_bytes) as writer:
        for record in records:
            writer.add(record)
    return path


def assert_same(found: TensorRecord, expected: TensorRecord) -> None:
    assert (found.name, found.dtype, found.array.shape) == (expected.name, expected.dtype, expected.array.shape)
    assert found.array.tobytes() == expected.array.tobytes()


@pytest.mark.parametrize("slice_bytes", [1 << 20, 30_001])
def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path, slice_bytes: int) -> None:
    path = write(tmp_path / "a.ckpt", sample_records(), slice_bytes)
    found = list(read_ckpt(path))
    assert len(found) == len(sample_records())
    for record, expected in zip(found, sample_records(), strict=True):
        assert_same(record, expected)
    assert len(scan_ckpt(path)[0].segments) == -(-120_000 // slice_bytes)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ckpt"]


def test_mindspore_reads_ours_and_we_read_mindspores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mindspore
    from mindspore.train import serialization

    monkeypatch.setattr(serialization, "SLICE_SIZE", 50)  # KiB: the first tensor is cut into three messages
    ours = write(tmp_path / "ours.ckpt", sample_records(), 50_000)
    loaded = mindspore.load_checkpoint(str(ours))
    for crc_check in (False, True):
        theirs = tmp_path / f"theirs_{crc_check}.ckpt"
        tensors = [{"name": n, "data": v} for n, v in loaded.items() if not isinstance(v, str)]
        mindspore.save_checkpoint(tensors, str(theirs), append_dict={"note": loaded["note"]}, crc_check=crc_check)
        assert len(scan_ckpt(theirs)[0].segments) == 3
        for record, expected in zip(read_ckpt(theirs), sample_records(), strict=True):
            assert_same(record, expected)
    for expected in sample_records():
        value = loaded[expected.name]
        if expected.dtype == "str":
            assert value == str(expected.array)
        elif expected.dtype == "BFloat16":
            assert np.array_equal(value.float().asnumpy(), bfloat16_to_float32(expected.array))
        else:
            assert value.shape == expected.array.shape
            assert value.asnumpy().tobytes() == expected.array.tobytes()


def test_a_tensor_may_be_written_in_blocks(tmp_path: Path) -> None:
    matrix = sample_records()[0].array
    with CkptWriter(tmp_path / "a.ckpt", slice_bytes=1000) as writer:
        writer.begin("m", "Float32", matrix.shape)
        for row in matrix:
            writer.write(row)
    assert np.array_equal(load_float32(tmp_path / "a.ckpt")["m"], matrix)


def test_a_long_file_leaves_the_page_cache_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("posix_fadvise: Linux only")
    releases = []
    monkeypatch.setattr(file_writer, "RELEASE_BYTES", 100_000)
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: releases.append(arguments))
    block = np.arange(10_000, dtype=np.float32)
    with CkptWriter(tmp_path / "a.ckpt") as writer:
        writer.begin("long", "Float32", (100_000,))
        for _ in range(10):
            writer.write(block)
    assert len(releases) == 3  # 400,000 bytes in blocks of 40,000: after every third
    assert {arguments[1:] for arguments in releases} == {(0, 0, os.POSIX_FADV_DONTNEED)}
    np.testing.assert_array_equal(next(read_ckpt(tmp_path / "a.ckpt")).array, np.tile(block, 10))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    small = [TensorRecord(f"t{i}", "Float32", np.arange(3, dtype=np.float32)) for i in range(3)]
    content = write(tmp_path / "a.ckpt", small, 8).read_bytes()
    for length in range(len(content)):
        (tmp_path / "cut.ckpt").write_bytes(content[:length])
        with pytest.raises(UserError, match=r"cut\.ckpt: .*(truncated|empty)"):
            scan_ckpt(tmp_path / "cut.ckpt")


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(100), b"GGUF" + bytes(100), b"\x80\x02}q\x00.", b"\xff" * 50]
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"not a MindSpore \.ckpt"):
        list(read_ckpt(tmp_path / "a.ckpt"))


def test_a_parameter_that_occurs_twice_is_named(tmp_path: Path) -> None:
    one = write(tmp_path / "a.ckpt", [TensorRecord("w", "Float32", np.ones(3, np.float32))]).read_bytes()
    two = write(tmp_path / "b.ckpt", [TensorRecord("v", "Float32", np.ones(3, np.float32))]).read_bytes()
    body = one[10:-11]
    for doubled in (body * 2, body + two[10:-11] + body):
        (tmp_path / "c.ckpt").write_bytes(doubled)
        with pytest.raises(UserError, match="'w' occurs twice"):
            scan_ckpt(tmp_path / "c.ckpt")


def test_an_error_while_writing_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", sample_records())
    before = path.read_bytes()
    with pytest.raises(RuntimeError), CkptWriter(path) as writer:
        writer.add(sample_records()[0])
        raise RuntimeError
    with pytest.raises(ValueError, match="more bytes"), CkptWriter(path) as writer:
        writer.begin("w", "Float32", (5,))
        writer.write(np.ones(4, np.float32))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ckpt"]
