"""Conversion as a whole: bit for bit there and back, every format, every broken input, nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.checkpoints import load_float32
from helpers.weights import GOLDEN, hf_config, random_weights, raw_tensors, write_hf

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, read_ckpt
from mindcode.checkpoint.convert import Conversion, convert_weights
from mindcode.checkpoint.dtypes import convert
from mindcode.checkpoint.hf_config import config_from_hf
from mindcode.checkpoint.hf_export import export_hugging_face
from mindcode.config.loader import load_config
from mindcode.model.stats import parameter_shapes
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json


def all_tensors(folder: Path) -> dict[str, tuple[list[int], str, bytes]]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in raw_tensors(file).items()}


@pytest.mark.parametrize("name", ["hf_untied", "hf_tied"])
@pytest.mark.parametrize("middle", ["model.ckpt", "model.safetensors", "shards"])
def test_there_and_back_is_bit_for_bit(tmp_path: Path, name: str, middle: str) -> None:
    summary = convert_weights(Conversion(GOLDEN / name, tmp_path / middle, max_shard_bytes=4000))
    back = export_hugging_face(Conversion(summary.path, tmp_path / "back", max_shard_bytes=4000))
    assert all_tensors(tmp_path / "back") == all_tensors(GOLDEN / name)
    assert summary.tensors == back.tensors
    assert summary.nbytes == back.nbytes
    files = [GOLDEN / name / "config.json", tmp_path / "back" / "config.json"]
    original, returned = (config_from_hf(read_json(file), file) for file in files)
    assert returned == original
    assert set(read_json(tmp_path / "back/model.safetensors.index.json")["weight_map"]) == set(
        all_tensors(GOLDEN / name)
    )


def test_parameters_come_in_the_order_of_the_network_under_our_names(tmp_path: Path) -> None:
    convert_weights(Conversion(GOLDEN / "hf_untied", tmp_path / "model.ckpt"))
    records = list(read_ckpt(tmp_path / "model.ckpt"))
    config = load_config(tmp_path / "model.yaml").model.model_config
    assert {record.name: record.array.shape for record in records} == parameter_shapes(config)
    assert [record.name for record in records] == list(parameter_shapes(config))
    assert {record.dtype for record in records} == {"BFloat16"}
    assert records[0].name == "model.tok_embeddings.embedding_weight"
    assert records[-1].name == "lm_head.weight"


@pytest.mark.parametrize(("flag", "dtype"), [("fp32", "Float32"), ("fp16", "Float16"), ("bf16", "BFloat16")])
def test_the_format_asked_for_is_written(tmp_path: Path, flag: str, dtype: str) -> None:
    config = hf_config()
    weights = random_weights(config)
    convert_weights(Conversion(write_hf(tmp_path / "hf", config, weights), tmp_path / "model.ckpt", dtype=flag))
    found = {record.name: record for record in read_ckpt(tmp_path / "model.ckpt")}
    head = found["lm_head.weight"]
    assert head.dtype == dtype
    assert np.array_equal(head.array, convert(weights["lm_head.weight"], "Float32", dtype, "w"))


def test_a_head_that_repeats_the_embedding_is_left_out_and_another_is_refused(tmp_path: Path) -> None:
    config = hf_config(tie_word_embeddings=True)
    weights = random_weights(config)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    convert_weights(Conversion(write_hf(tmp_path / "hf", config, weights), tmp_path / "model.ckpt"))
    assert "lm_head.weight" not in load_float32(tmp_path / "model.ckpt")
    weights["lm_head.weight"] = weights["lm_head.weight"] + 1
    with pytest.raises(UserError, match="differs from the embedding"):
        convert_weights(Conversion(write_hf(tmp_path / "hf", config, weights), tmp_path / "model.ckpt"))


def test_optimizer_state_in_a_checkpoint_is_not_exported(tmp_path: Path) -> None:
    convert_weights(Conversion(GOLDEN / "hf_tied", tmp_path / "model.ckpt"))
    records = list(read_ckpt(tmp_path / "model.ckpt"))
    with CkptWriter(tmp_path / "model.ckpt") as writer:
        for record in records:
            writer.add(record)
            writer.add(TensorRecord(f"adam_m.{record.name}", "Float32", np.zeros(record.array.shape, np.float32)))
        writer.add(TensorRecord("global_step", "Int32", np.array(3, np.int32)))
    export_hugging_face(Conversion(tmp_path / "model.ckpt", tmp_path / "back"))
    assert all_tensors(tmp_path / "back") == all_tensors(GOLDEN / "hf_tied")


def without(name: str) -> dict[str, np.ndarray]:
    weights = random_weights(hf_config())
    del weights[name]
    return weights


BROKEN = {
    "missing": (without("model.norm.weight"), r"1 weights are missing, first 'model\.norm_out\.weight'"),
    "head": (without("lm_head.weight"), "is the head tied"),
    "unexpected": (random_weights(hf_config()) | {"v_head.weight": np.ones(1)}, "1 tensors do not belong .*'v_head"),
    "layer": (random_weights(hf_config(num_hidden_layers=2)), r"9 tensors do not belong .* of 1 layers.*layers\.1"),
    "bias": (random_weights(hf_config()) | {"model.layers.0.self_attn.q_proj.bias": np.ones(256)}, "q_proj.bias"),
    "shape": (
        random_weights(hf_config(num_key_value_heads=4)),
        r"k_proj\.weight' has shape \[256, 256\].*\[128, 256\]",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_network_that_is_not_whole_is_refused_and_nothing_is_written(tmp_path: Path, case: str) -> None:
    weights, message = BROKEN[case]
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    source = write_hf(tmp_path / "hf", hf_config(), weights)
    with pytest.raises(UserError, match=message):
        convert_weights(Conversion(source, tmp_path / "out" / "model.ckpt"))
    assert not (tmp_path / "out").exists()


def test_an_overflow_names_the_tensor_and_leaves_nothing(tmp_path: Path) -> None:
    weights = random_weights(hf_config())
    weights["model.layers.0.mlp.up_proj.weight"][300, 17] = 1e6
    source = write_hf(tmp_path / "hf", hf_config(), weights)
    with pytest.raises(UserError, match=r"up_proj\.weight: 1e\+06 does not fit into fp16"):
        convert_weights(Conversion(source, tmp_path / "out" / "model.ckpt", dtype="fp16"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_yaml_file_can_give_the_sizes_and_is_held_against_the_shapes(tmp_path: Path) -> None:
    convert_weights(Conversion(GOLDEN / "hf_untied", tmp_path / "model.ckpt"))
    yaml = (tmp_path / "model.yaml").read_text()
    (tmp_path / "other.yaml").write_text(yaml.replace("intermediate_size: 24", "intermediate_size: 32"))
    convert_weights(Conversion(GOLDEN / "hf_untied", tmp_path / "a.ckpt", config=tmp_path / "model.yaml"))
    with pytest.raises(UserError, match=r"gate_proj\.weight' has shape \[24, 16\]; the sizes .* need \[32, 16\]"):
        convert_weights(Conversion(GOLDEN / "hf_untied", tmp_path / "b.ckpt", config=tmp_path / "other.yaml"))
    (tmp_path / "model.yaml").unlink()
    with pytest.raises(UserError, match="give the sizes with --config"):
        export_hugging_face(Conversion(tmp_path / "model.ckpt", tmp_path / "back"))


def test_outputs_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    source = write_hf(tmp_path / "hf", hf_config(), random_weights(hf_config()))
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    cases = {
        source / "model.safetensors": "is an input and would be replaced",
        tmp_path / "file" / "model.ckpt": "file",
        tmp_path / "model.pt": "unknown kind of output '.pt'",
        tmp_path / "model.bin": "unknown kind of output '.bin'",
        tmp_path / "full": "holds thesis.txt, which would be lost",
        tmp_path / "file": "is a file",
    }
    for output, message in cases.items():
        with pytest.raises(UserError, match=message):
            convert_weights(Conversion(source, output))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "full", "hf"]


def test_no_input_is_replaced(tmp_path: Path) -> None:
    weights = random_weights(hf_config())
    source = write_hf(tmp_path / "models" / "own", hf_config(), weights)
    (tmp_path / "link").symlink_to(source)
    ckpt = convert_weights(Conversion(source, tmp_path / "models" / "ckpt" / "model.ckpt")).path
    sizes = ckpt.with_suffix(".yaml")
    before = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))]
    jobs = [
        Conversion(source, source),
        Conversion(source, tmp_path / "link"),
        Conversion(tmp_path / "link", source),
        Conversion(source / "model.safetensors", source),
        Conversion(source, source.parent),
        Conversion(source, sizes.with_suffix(".safetensors"), config=sizes),
    ]
    for job in jobs:
        with pytest.raises(UserError, match="is an input and would be replaced"):
            convert_weights(job)
    for job in (Conversion(ckpt, ckpt.parent), Conversion(ckpt, tmp_path / "models")):
        with pytest.raises(UserError, match="is an input and would be replaced"):
            export_hugging_face(job)
    assert [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))] == before


def test_a_linked_file_does_not_hide_the_folder_it_is_read_from(tmp_path: Path) -> None:
    """As in Hugging Face's cache, where a snapshot holds links to the files."""
    blob = write_hf(tmp_path / "blobs", hf_config(), random_weights(hf_config())) / "model.safetensors"
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "config.json").write_text((blob.parent / "config.json").read_text())
    (snapshot / "model.safetensors").symlink_to(blob)
    with pytest.raises(UserError, match="is an input"):
        convert_weights(Conversion(snapshot / "model.safetensors", snapshot))


def test_a_dot_in_a_name_does_not_make_a_file(tmp_path: Path) -> None:
    folder = convert_weights(Conversion(GOLDEN / "hf_tied", tmp_path / "Tiny-1.1B")).path
    assert (folder / "model.yaml").is_file() and (folder / "model.safetensors").is_file()
    back = export_hugging_face(Conversion(folder, tmp_path / "Tiny-1.1B-hf")).path
    assert all_tensors(back) == all_tensors(GOLDEN / "hf_tied")
    for name in ("out.bin", "out.pth", "out.ckpt", "out.safetensors", "out.gguf"):
        with pytest.raises(UserError, match=r"a folder is written here; name one, without '\.\w+'"):
            export_hugging_face(Conversion(folder, tmp_path / name))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["Tiny-1.1B", "Tiny-1.1B-hf"]


def test_another_models_tokenizer_is_not_taken(tmp_path: Path, repository: Path) -> None:
    """Not from the folder above (where Meta's is), and not one with more pieces than the network has rows."""
    models = tmp_path / "models"
    source = shutil.copytree(GOLDEN / "hf_tied", models / "a")
    tokenizer = repository / "tests" / "golden" / "llama_like.model"
    shutil.copy(tokenizer, models / "tokenizer.model")
    convert_weights(Conversion(source, tmp_path / "above" / "model.ckpt"))
    shutil.copy(tokenizer, source / "tokenizer.model")
    convert_weights(Conversion(source, tmp_path / "beside" / "model.ckpt"))
    shutil.copy(tokenizer, tmp_path / "beside" / "tokenizer.model")
    export_hugging_face(Conversion(tmp_path / "beside" / "model.ckpt", tmp_path / "back"))
    for folder in ("above", "back"):
        assert not (tmp_path / folder / "tokenizer.model").exists()


def test_metas_tokenizer_lies_above_its_weights(tmp_path: Path) -> None:
    source = shutil.copytree(GOLDEN / "meta", tmp_path / "llama" / "7b")
    (source.parent / "tokenizer.model").write_bytes(b"unreadable here, and copied as it is")
    convert_weights(Conversion(source, tmp_path / "out" / "model.ckpt"))
    assert (tmp_path / "out" / "tokenizer.model").is_file()


def test_the_tokenizer_goes_with_the_weights(tmp_path: Path) -> None:
    source = shutil.copytree(GOLDEN / "hf_tied", tmp_path / "hf")
    (source / "tokenizer.json").write_text("{}")
    (source / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    convert_weights(Conversion(source, tmp_path / "out" / "model.ckpt"))
    export_hugging_face(Conversion(tmp_path / "out" / "model.ckpt", tmp_path / "back"))
    for folder in ("out", "back"):
        assert (tmp_path / folder / "tokenizer_config.json").read_text() == '{"chat_template": "x"}'
        assert (tmp_path / folder / "tokenizer.json").is_file()


KILLED = """
import os, signal, sys
from pathlib import Path
import mindcode.checkpoint.stream as stream
from mindcode.checkpoint.convert import Conversion, convert_weights
before = stream.convert
def convert(block, source, target, name):
    if "norm.weight" in name and "layers" not in name:
        os.kill(os.getpid(), signal.SIGKILL)
    return before(block, source, target, name)
stream.convert = convert
convert_weights(Conversion(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.parametrize("output", ["model.ckpt", "model.safetensors", "shards"])
def test_after_a_kill_the_next_run_leaves_only_the_output(tmp_path: Path, output: str) -> None:
    before = convert_weights(Conversion(GOLDEN / "hf_tied", tmp_path / "whole" / output))
    command = [sys.executable, "-c", KILLED, str(GOLDEN / "hf_tied"), str(tmp_path / "killed" / output)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert not (tmp_path / "killed" / output).exists()
    convert_weights(Conversion(GOLDEN / "hf_tied", tmp_path / "killed" / output))
    left = [sorted(entry.name for entry in (tmp_path / folder).iterdir()) for folder in ("whole", "killed")]
    assert left[0] == left[1]
    assert before.nbytes > 0


MEASURED = """
import sys
from pathlib import Path
from mindcode.checkpoint.convert import Conversion, convert_weights
convert_weights(Conversion(Path(sys.argv[1]), Path(sys.argv[2])))
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the high-water mark is read from /proc")
def test_memory_does_not_grow_with_the_tensor(tmp_path: Path) -> None:
    """A 512 MiB embedding must cost no more than a few blocks; the whole process was measured at 50 MiB."""
    config = hf_config(vocab_size=1 << 19, tie_word_embeddings=True)
    shapes = {name: weight.shape for name, weight in random_weights(hf_config(tie_word_embeddings=True)).items()}
    source = write_hf(tmp_path / "hf", config, {})
    _write_zeros(source / "model.safetensors", shapes | {"model.embed_tokens.weight": (1 << 19, 256)})
    command = [sys.executable, "-c", MEASURED, str(source), str(tmp_path / "model.ckpt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "model.ckpt").stat().st_size > 512 << 20
    (tmp_path / "model.ckpt").unlink()
    assert int(done.stdout) < 200 << 10  # KiB, the high-water mark of the process


def _write_zeros(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file whose tensors are a hole in the file, which costs neither time nor room."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + offset)
