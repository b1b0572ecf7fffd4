"""`mindcode predict` on a tiny network: forms of prompts, files that are continued, errors."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.cli.main import guard
from mindcode.cli.predict_backend import DeferredBackend
from mindcode.cli.predict_team import start_team
from mindcode.config.loader import load_config
from mindcode.data.tokenizer import load_tokenizer
from mindcode.model.stats import parameter_shapes

VERB = "mindcode.cli.predict"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> list[str]:
    """A folder with a YAML file, a random checkpoint and a tokenizer; returns the flags that name them."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copy(repository / "tests" / "golden" / "llama_like.model", folder / "tokenizer.model")
    vocab_size = load_tokenizer(folder).vocab_size
    (folder / "run.yaml").write_text(
        "run_mode: predict\nuse_parallel: False\npredict_batch_size: 2\nseed: 3\n"
        "context:\n  device_target: CPU\n"
        "model:\n  model_config:\n    hidden_size: 32\n    num_layers: 1\n    num_heads: 4\n    n_kv_heads: 2\n"
        f"    intermediate_size: 48\n    vocab_size: {vocab_size}\n    seq_length: 512\n    max_decode_length: 512\n"
        "    max_new_tokens: 6\n    compute_dtype: float32\n    param_init_type: float32\n    do_sample: False\n",
        encoding="utf-8",
    )
    config = load_config(folder / "run.yaml", [("load_checkpoint", "x.ckpt")]).model.model_config
    generator = np.random.default_rng(1)
    with CkptWriter(folder / "model.ckpt") as writer:
        for name, shape in parameter_shapes(config).items():
            writer.add(TensorRecord(name, "Float32", generator.normal(0, 0.3, shape).astype(np.float32)))
    return ["--config", str(folder / "run.yaml"), "--load_checkpoint", str(folder / "model.ckpt")]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_prompts_on_the_command_line_are_answered_in_order(
    model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard(VERB, [*model, "--use_parallel", "False", "--predict_data", "def f(x):\\n", "one", "two"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("--- prompt 1, sample 0") < shown.index("--- prompt 2") < shown.index("--- prompt 3")
    assert "def f(x):\n" in shown
    assert "total time: " in shown and "generated tokens: 18 tokens; generate speed: " in shown


def test_a_killed_run_is_continued_and_equals_an_uninterrupted_one(
    model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("prompts.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    command = [*model, "--input_file", "prompts.txt", "--temperature", "0.9", "--num_samples", "2"]
    assert guard(VERB, [*command, "--output_file", "whole.jsonl"]) == 0
    whole = {(row["id"], row["sample"]): row for row in rows("whole.jsonl")}
    assert len(whole) == 6 and whole["1", 0]["completion"] != whole["1", 1]["completion"]

    lines = Path("whole.jsonl").read_text(encoding="utf-8").splitlines()
    Path("cut.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:20], encoding="utf-8")
    shutil.copy("whole.jsonl.settings.json", "cut.jsonl.settings.json")
    assert guard(VERB, [*command, "--output_file", "cut.jsonl"]) == 0
    assert {(row["id"], row["sample"]): row for row in rows("cut.jsonl")} == whole
    capsys.readouterr()
    assert guard(VERB, [*command, "--output_file", "cut.jsonl"]) == 0
    assert capsys.readouterr().out == "answers: cut.jsonl\n", "nothing was left to do"

    assert guard(VERB, [*command, "--seed", "4", "--output_file", "cut.jsonl"]) == 2
    assert "cut.jsonl was begun with other settings (seed: 3, now 4)" in capsys.readouterr().err


def test_humaneval_writes_samples(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = [*model, "--input_file", "humaneval", "--limit", "2"]
    assert guard(VERB, [*command, "--prompt_style", "chat"]) == 2
    assert "tokenizer.model has no chat template; give --prompt_style completion" in capsys.readouterr().err
    assert guard(VERB, [*command, "--chat_template", "codellama"]) == 2
    assert list(Path().iterdir()) == [], "a refused command leaves nothing behind"
    assert guard(VERB, [*command, "--seed", "5", "--model.model_config.max_new_tokens", "4"]) == 0
    assert "samples: samples.jsonl (2 new, 0 kept" in capsys.readouterr().out
    assert {row["task_id"] for row in rows("samples.jsonl")} == {"HumanEval/0", "HumanEval/1"}
    assert json.loads(Path("samples.jsonl.settings.json").read_text())["prompt_style"] == "completion"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give either --predict_data TEXT ... or --input_file FILE"),
        (["--predict_data", "a", "--input_file", "b"], "give either --predict_data"),
        (["--predict_data", "a", "--model_parallel", "2"], "split over 2 processes; start them with mindcode launch"),
        (["--predict_data", "a", "--model_parallel", "3"], "num_heads 4 is not divisible by model_parallel 3"),
        (["--predict_data", "a", "--model_parallel", "two"], "parallel_config.model_parallel: 'two', expected"),
        (
            ["--predict_data", "a", "--use_parallel", "--parallel_config.data_parallel", "2"],
            "parallel_config.data_parallel: 2, but generation has one copy of the network; set it to 1",
        ),
        (["--predict_data", "a", "--num_samples", "2"], "greedy answers are all the same; give --temperature"),
        (["--predict_data", "a<FILL_ME>b"], "the tokenizer has no ▁<PRE>"),
        (["--predict_data", "a", "--model_file", "nowhere"], "nowhere: no such tokenizer file"),
        (["--predict_data", "a", "--load_checkpoint", "nowhere.ckpt"], "nowhere.ckpt: no such file or folder"),
        (["--predict_data", "a", "--chat_template", "vicunna"], "vicunna"),
        (["--predict_data", "a", "b\udcff"], "prompt '2': half a character"),
        (["--predict_data", "a", "--output_file", "."], ".: is a folder; expected the name of a file"),
        (["--input_file", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--predict_data", "a", "--output_file", "/proc/zz"], "/proc/zz: No such file or directory"),
        (["--predict_data", "x " * 600], "prompt '1, sample 0': 1202 tokens leave no room for an answer within 512"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    model: list[str], flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard(VERB, [*model, *flags]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mindcode: error: ") and message in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "use_parallel: False, but 4 processes run; set it to True or start one process"),
        (["--model_parallel", "2"], "model_parallel 2 x pipeline_stage 1 = 2, but 4 processes run; make the two equal"),
    ],
)
def test_as_many_processes_as_parts(
    model: list[str],
    flags: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Said before the processes wait for each other."""
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    monkeypatch.setenv("MS_WORKER_NUM", "4")
    assert guard(VERB, [*model, "--predict_data", "a", *flags]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--top_p", "-1"], ["--temperature", "warm"], ["--prompt_style", "poem"]])
def test_flags_are_checked(model: list[str], flags: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        guard(VERB, [*model, "--predict_data", "a", *flags])


def test_config_path_is_config(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for spelling in (["--config_path", model[1]], [f"--config_path={model[1]}"]):
        assert guard(VERB, [*spelling, *model[2:]]) == 2
        assert "give either --predict_data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("template", "asked", "style"),
    [
        ("", "", "completion"),
        ("none", "", "completion"),
        ("codellama-instruct", "", "chat"),
        ("codellama-instruct", "chat-free", "chat-free"),
        ("codellama-instruct", "completion", "completion"),
    ],
)
def test_the_prompt_style_suits_the_tokenizer(model: list[str], template: str, asked: str, style: str) -> None:
    config = load_config(Path(model[1]), [("load_checkpoint", model[3])])
    assert DeferredBackend(config, start_team(config), None, template, 1).prompt_style(asked) == style


def test_a_chat_template_makes_chat_the_style(model: list[str], repository: Path) -> None:
    folder = Path("chat")
    shutil.copytree(Path(model[3]).parent, folder)
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages[0].content }}"}', encoding="utf-8")
    config = load_config(folder / "run.yaml", [("load_checkpoint", str(folder / "model.ckpt"))])
    assert DeferredBackend(config, start_team(config), None, "", 1).prompt_style("") == "chat"


def test_an_empty_output_file_is_a_new_one(model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = [*model, "--predict_data", "one", "--output_file", "out.jsonl"]
    Path("out.jsonl").touch()
    Path("out.jsonl.settings.json").write_text('{"seed": 99}', encoding="utf-8")
    assert guard(VERB, command) == 0
    assert len(rows("out.jsonl")) == 1
    assert guard(VERB, [*command, "--seed", "4"]) == 2


def test_the_script_passes_flags_on(repository: Path) -> None:
    """A stand-in for `mindcode` shows the command line that it was given."""
    mindcode = Path("bin/mindcode")
    mindcode.parent.mkdir()
    mindcode.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    mindcode.chmod(0o755)
    script = str(repository / "scripts" / "run_codellama_predict.sh")
    environment = {**os.environ, "PATH": f"{mindcode.parent.resolve()}:{os.environ['PATH']}"}
    command = ["bash", script, "a.yaml", "a.ckpt", "1", "humaneval", "--", "--stop", "a b", "--limit", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    words = ["predict", "--config", "a.yaml", "--load_checkpoint", "a.ckpt", "--input_file", "humaneval"]
    words += ["--output_file", "samples.jsonl", "--model_parallel", "1", "--stop", "a b", "--limit", "2"]
    assert done.stdout.splitlines() == words

    several = subprocess.run(
        ["bash", str(repository / "scripts/examples/codellama/run_codellama_predict.sh"), "a.yaml", "a.ckpt", "4"],
        capture_output=True,
        text=True,
        env={**environment, "MASTER_PORT": "9000"},
        check=True,
    )
    begin = "launch --worker_num 4 --master_port 9000 --log_dir output/msrun_log mindcode predict --config a.yaml"
    assert " ".join(several.stdout.splitlines()).startswith(begin)
    assert several.stdout.splitlines()[-2:] == ["--model_parallel", "4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.yaml", "a.ckpt"], "usage: "),
        (["a.yaml", "--", "a.ckpt", "1"], "usage: "),
        (["a.yaml", "a.ckpt", "0"], "DEVICE_NUM: expected a number from 1 up"),
        (
            ["a.yaml", "a.ckpt", "tokenizer.model", "1"],
            "(or, before it, an existing TOKENIZER), found 'tokenizer.model'",
        ),
    ],
)
def test_the_script_says_what_is_wrong(repository: Path, arguments: list[str], message: str) -> None:
    script = repository / "scripts" / "run_codellama_predict.sh"
    done = subprocess.run(["bash", str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr
