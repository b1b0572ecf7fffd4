"""Weights found in Hugging Face, PyTorch and Meta files equal what the libraries that wrote them put in."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.shards import random_tensors, save_run
from helpers.weights import GOLDEN, hf_config, interleaved, random_weights, raw_tensors, write_hf

from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.sources.open import open_source
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.tensors import half_rotation_rows
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError


def contents(source: Source) -> dict[str, bytes]:
    return {name: tensor.read().tobytes() for name, tensor in source.tensors.items()}


@pytest.mark.parametrize("folder", ["hf_bin", "meta", "hf_bin/pytorch_model.bin", "meta/consolidated.00.pth"])
def test_one_network_in_three_formats_is_the_same_bit_for_bit(folder: str) -> None:
    reference = open_source(GOLDEN / "hf_untied")
    source = open_source(GOLDEN / folder)
    assert contents(source) == contents(reference)
    assert {t.dtype for t in source.tensors.values()} == {"BFloat16"}
    assert source.config is not None
    assert reference.config is not None
    for size in ("hidden_size", "num_layers", "num_heads", "n_kv_heads", "vocab_size", "ffn_size", "theta"):
        assert getattr(source.config, size) == getattr(reference.config, size), size


def test_safetensors_are_read_as_the_library_reads_them() -> None:
    source = open_source(GOLDEN / "hf_tied")
    expected = raw_tensors(GOLDEN / "hf_tied" / "model.safetensors")
    found = {tensor.name: tensor.read().tobytes() for tensor in source.tensors.values()}
    assert found == {name: content for name, (_, _, content) in expected.items()}
    assert source.config is not None
    assert (source.config.extend_method, source.config.tie_word_embeddings) == ("LLAMA3", True)


def test_blocks_of_rows_join_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mindcode.checkpoint.tensors.BLOCK_BYTES", 100)
    for folder in ("hf_untied", "meta"):
        for name, tensor in open_source(GOLDEN / folder).tensors.items():
            pieces = [tensor.read_rows(*rows) for rows in tensor.blocks()]
            assert np.array_equal(np.concatenate(pieces), tensor.read()), name
    assert len(pieces) > 1


def test_half_rotation_rows_give_the_scores_of_metas_complex_rotation() -> None:
    """Meta turns neighbours as complex numbers; after reordering, the half-rotation formula gives the same scores."""
    head_dim, angles = 8, np.array([0.3, 1.1, 2.0, 0.7])
    random = np.random.default_rng(0)
    query, key = (random.standard_normal((head_dim, 5)) for _ in range(2))
    inputs = random.standard_normal((5, 6))

    def complex_rotation(rows: np.ndarray, position: int) -> np.ndarray:
        turned = (rows[0::2] + 1j * rows[1::2]) * np.exp(1j * angles * position)[:, None]
        return np.stack([turned.real, turned.imag], 1).reshape(rows.shape)

    def half_rotation(rows: np.ndarray, position: int) -> np.ndarray:
        cos, sin = (np.tile(f(angles * position), 2)[:, None] for f in (np.cos, np.sin))
        return rows * cos + np.concatenate([-rows[4:], rows[:4]]) * sin

    theirs = complex_rotation(query @ inputs, 3).T @ complex_rotation(key @ inputs, 7)
    ours = (half_rotation(half_rotation_rows(w, head_dim) @ inputs, p) for w, p in ((query, 3), (key, 7)))
    # the same sums of products in another order: a few units in the last place of float64
    np.testing.assert_allclose(next(ours).T @ next(ours), theirs, rtol=1e-12, atol=1e-12)


def test_half_rotation_undoes_the_interleaving_of_every_head() -> None:
    weight = np.arange(24.0).reshape(12, 2)
    assert np.array_equal(half_rotation_rows(interleaved(weight, 4), 4), weight)


def cut(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


@pytest.mark.parametrize("length", [0, 5, 100, 2000, 4000, 4215])
def test_a_truncated_safetensors_file_is_refused(tmp_path: Path, length: int) -> None:
    folder = shutil.copytree(GOLDEN / "hf_untied", tmp_path / "model")
    cut(folder / "model-00001-of-00003.safetensors", length)
    with pytest.raises(UserError, match=r"00001-of-00003\.safetensors: truncated"):
        open_source(folder)


@pytest.mark.parametrize(
    "change", [{"shape": ["a"]}, {"shape": 5}, {"data_offsets": [None, 8]}, {"data_offsets": "x"}, {"dtype": []}]
)
def test_a_damaged_safetensors_header_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    file = shutil.copytree(GOLDEN / "hf_tied", tmp_path / "model") / "model.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["model.norm.weight"] |= change
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(UserError, match=r"model\.safetensors: tensor 'model\.norm\.weight'"):
        open_source(file)


@pytest.mark.parametrize("length", [0, 50, 5000, 12700])
def test_a_truncated_torch_file_is_refused(tmp_path: Path, length: int) -> None:
    folder = shutil.copytree(GOLDEN / "meta", tmp_path / "model")
    cut(folder / "consolidated.01.pth", length)
    with pytest.raises(UserError, match=r"consolidated\.01\.pth: truncated"):
        open_source(folder)


def test_a_torch_file_cannot_run_code(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('code was run')",))

    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Attack()}))
    with pytest.raises(UserError, match=r"holds builtins\.exec, not only tensors"):
        open_source(tmp_path)


def test_a_missing_shard_and_a_doubled_name_are_named(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "hf_untied", tmp_path / "model")
    shutil.copy(folder / "model-00001-of-00003.safetensors", folder / "model-00002-of-00003.safetensors")
    with pytest.raises(UserError, match=r"tensor '.*' is also in model-00001"):
        open_source(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"1 of 3 files are missing, first model-00002"):
        open_source(folder)


def test_metas_folder_needs_its_parameters(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "meta", tmp_path / "model")
    (folder / "params.json").unlink()
    with pytest.raises(UserError, match=r"params\.json: no such file"):
        open_source(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 0}, r"params\.json: num_heads: 0, expected at least 1"),
        ({"rope_theta": "big"}, r"params\.json: theta: 'big', expected a number"),
        ({"norm_eps": []}, r"params\.json: rms_norm_eps: a list, expected a number"),
    ],
)
def test_metas_sizes_are_checked(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = shutil.copytree(GOLDEN / "meta", tmp_path / "model") / "params.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=message):
        open_source(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "only 'llama' can be converted"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"head_dim": 100}, "head_dim is 100"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic' cannot be converted"),
    ],
)
def test_networks_that_are_not_built_here_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = write_hf(tmp_path / "model", hf_config(**change), {"w": np.zeros(1, np.float32)})
    with pytest.raises(UserError, match=message):
        open_source(folder)


@pytest.mark.parametrize(("name", "message"), [("nothing", "no such file"), ("a.txt", "unknown kind of weights")])
def test_paths_without_weights(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(UserError, match=message):
        open_source(tmp_path / name)
    with pytest.raises(UserError, match="no weights here"):
        open_source(tmp_path)


def test_a_single_safetensors_file_is_enough(tmp_path: Path) -> None:
    config = hf_config()
    folder = write_hf(tmp_path, config, random_weights(config))
    assert len(open_source(folder / "model.safetensors").tensors) == 12


def test_a_run_on_many_ranks_is_read_as_one_network(tmp_path: Path) -> None:
    tensors = random_tensors()
    split = Split.of_tensors({name: tensor.shape for name, tensor in tensors.items()}, ParallelDims(1, 2, 2))
    manifest = save_run(tmp_path, tensors, split, Position(1, 5))
    weights = {name: tensor.tobytes() for name, tensor in tensors.items() if not name.startswith("adam_")}
    for path in (tmp_path, manifest, manifest.parent / "rank_3" / "tiny_rank_3-1_5.ckpt"):
        source = open_source(path)
        assert contents(source) == weights
        assert len(source.files) == 4
