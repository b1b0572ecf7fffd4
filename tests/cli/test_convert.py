"""mindcode convert and convert_weight.py: flags, exit codes, one line of output, no stack trace."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.weights import GOLDEN, raw_tensors

from mindcode.checkpoint.ckpt_file import read_ckpt
from mindcode.checkpoint.names import translate
from mindcode.cli.main import main


def run(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


def test_there_and_back_with_the_familiar_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ckpt, back = tmp_path / "model.ckpt", tmp_path / "back"
    familiar = ("--n_head", 4, "--hidden_size", 16, "--layers", 2)
    assert run("--model", "llama", "--input_path", GOLDEN / "hf_tied", "--output_path", ckpt, *familiar) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"wrote {ckpt}: 20 tensors, 9,120 bytes, ")
    assert out.count("\n") == 1
    assert run("--reversed", "--input_path", ckpt, "--output_path", back) == 0
    assert raw_tensors(back / "model.safetensors") == raw_tensors(GOLDEN / "hf_tied" / "model.safetensors")
    assert json.loads((back / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_the_shim_does_the_same(tmp_path: Path, repository: Path) -> None:
    source = GOLDEN / "hf_untied" / "model-00001-of-00003.safetensors"
    command = [sys.executable, str(repository / "convert_weight.py"), "--model", "llama", "--dtype", "fp32"]
    command += ["--input_path", str(source), "--output_path", str(tmp_path / "model.ckpt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = list(read_ckpt(tmp_path / "model.ckpt"))
    assert len(records) == 21
    assert {record.dtype for record in records} == {"Float32"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input_path", "nothing.gguf", "--output_path", "a.ckpt"), "nothing.gguf: no such file or folder"),
        (("--input_path", GOLDEN / "hf_tied", "--output_path", "a.pt"), "unknown kind of output '.pt'"),
        (
            ("--input_path", GOLDEN / "hf_tied", "--output_path", "a.ckpt", "--n_head", "64"),
            "num_heads is 4, and the command line says 64",
        ),
    ],
)
def test_bad_input_ends_in_one_line_and_exit_code_2(
    arguments: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments", [("--inputpath", "x"), ("--dtype", "fp8"), ("--model", "glm"), ("--max_shard_size", "5 pounds"), ()]
)
def test_unknown_flags_and_values_are_errors(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("--input_path", "a", "--output_path", "b", *arguments) if arguments else run()
    assert stop.value.code == 2


def test_help_needs_no_numerical_library() -> None:
    code = "import sys; from mindcode.cli.convert import _parser; _parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "mindspore", "torch", "gguf"} & set(loaded)


@pytest.mark.weights
def test_the_real_gguf_equals_transformers(tmp_path: Path, smollm2_gguf: Path) -> None:
    """SHA-256 of all 272 tensors, as transformers dequantised and un-permuted them."""
    assert run("--input_path", smollm2_gguf, "--output_path", tmp_path / "smollm2.ckpt") == 0
    expected = json.loads((GOLDEN / "smollm2.json").read_text(encoding="utf-8"))["tensors"]
    found = {
        translate(record.name, "ours", "hugging_face"): hashlib.sha256(record.array.tobytes()).hexdigest()
        for record in read_ckpt(tmp_path / "smollm2.ckpt")
    }
    assert found == expected
