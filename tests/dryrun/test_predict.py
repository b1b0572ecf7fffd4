"""Prefill and decode of a network that several NPUs share, compiled for one of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.predicting import write_model

from mindcode.dryrun.environment import simulated_rank
from mindcode.dryrun.stub import ensure_stub
from mindcode.dryrun.wheel import mindspore_folder

WORKER = Path(__file__).with_name("predict_worker.py")
NARROW = {"hidden_size": 256, "num_heads": 8, "n_kv_heads": 4, "intermediate_size": 512, "vocab_size": 512}
LAYERS = 2


def compiled(repository: Path, folder: Path, model_parallel: int, sizes: dict[str, int]) -> dict[str, Any]:
    """Dry run the YAML file of 34B with these sizes; return what was found of its only stage."""
    config, found = repository / "configs/codellama/predict_codellama_34b.yaml", folder / "found.json"
    command = [sys.executable, "-m", "mindcode", "dryrun", "--config", str(config), "--json", str(found)]
    command += ["--layers", str(LAYERS), "--parallel_config.model_parallel", str(model_parallel)]
    command += [word for key, size in sizes.items() for word in (f"--model.model_config.{key}", str(size))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (stage,) = json.loads(found.read_text())
    return dict(stage)


def check(stage: dict[str, Any], model_parallel: int) -> None:
    """The fused kernels are used, and every layer adds up twice."""
    assert all(check["ok"] for check in stage["checks"])
    attention = {"prefill": "FlashAttentionScore", "decode": "PagedAttention"}
    for step, kernel in attention.items():
        operators = stage["operators"][step]
        assert operators[kernel] == operators["ReshapeAndCache"] == LAYERS
        # the embedding and the most likely id are agreed on, too
        assert operators["AllReduce"] == 2 * LAYERS + 2
        assert {tuple(row["collective"]["group"]) for row in stage["traffic"][step]} == {tuple(range(model_parallel))}
        (other,) = {*attention.values()} - {kernel}
        assert other not in operators and "Transpose" not in operators


def test_two_npus(repository: Path, cache: Path, tmp_path: Path) -> None:
    stage = compiled(repository, tmp_path, 2, NARROW)
    check(stage, 2)
    assert stage["parameters"]["model.layers.1.attention.wk.weight"]["shape"] == [64, 256]
    assert stage["parameters"]["model.layers.1.attention.core.keys"]["shape"] == [1024, 16, 2, 32]


@pytest.mark.usefixtures("cache")
def test_answers_of_zeros(tmp_path: Path) -> None:
    """From the command line to the file of answers: all but the numbers, which a simulated NPU does not compute."""
    words = [
        *write_model(tmp_path),
        "--device_target",
        "Ascend",
        "--model_parallel",
        "2",
        "--output_file",
        "found.jsonl",
    ]
    words += ["--model.model_config.compute_dtype", "float16", "--model.model_config.num_blocks", "64"]
    words += ["--max_new_tokens", "5", "--repetition_penalty", "1.1", "--predict_data", "one", "two " * 70, "three"]
    environment = os.environ | simulated_rank(ensure_stub(), mindspore_folder(), rank=0, world_size=2)
    command = [sys.executable, str(WORKER), *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert sorted((row["id"], row["answer_tokens"]) for row in rows) == [("1", 5), ("2", 5), ("3", 5)]


@pytest.mark.slow
@pytest.mark.parametrize("model_parallel", [2, 4, 8])
def test_the_width_of_34b(model_parallel: int, repository: Path, cache: Path, tmp_path: Path) -> None:
    stage = compiled(repository, tmp_path, model_parallel, {})
    check(stage, model_parallel)
    heads = 8 // model_parallel
    assert stage["parameters"]["model.layers.0.attention.core.values"]["shape"] == [1024, 16, heads, 128]
    assert stage["parameters"]["lm_head.weight"]["shape"] == [32000 // model_parallel, 8192]
