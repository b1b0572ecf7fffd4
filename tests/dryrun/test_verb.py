"""`mindcode dryrun` from end to end, on networks as narrow as possible in the shapes of the shipped files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NARROW = {
    "model.model_config.hidden_size": 256,
    "model.model_config.num_heads": 8,
    "model.model_config.n_kv_heads": 4,
    "model.model_config.intermediate_size": 512,
    "model.model_config.vocab_size": 512,
    "model.model_config.seq_length": 256,
    "model.model_config.num_layers": 12,
    "parallel_config.micro_batch_num": 2,
    "context.jit_config.jit_level": "O2",
}
SHAPES = {
    "pretrain_codellama_34b": {"model_parallel": 2, "pipeline_stage": 2},
    "finetune_codellama_34b_32p": {"data_parallel": 2, "model_parallel": 2, "pipeline_stage": 2},
}


class Run(NamedTuple):
    """How the verb ended, and what it wrote."""

    done: subprocess.CompletedProcess[str]
    stages: list[dict[str, Any]]


def dryrun(repository: Path, folder: Path, name: str, *flags: str) -> Run:
    keys = {**NARROW, **{f"parallel_config.{key}": value for key, value in SHAPES[name].items()}}
    words = [word for key, value in keys.items() for word in (f"--{key}", str(value))]
    config, found = repository / f"configs/codellama/{name}.yaml", folder / "found.json"
    command = [sys.executable, "-m", "mindcode", "dryrun", "--config", str(config), "--json", str(found)]
    done = subprocess.run([*command, *words, *flags], cwd=folder, capture_output=True, text=True, timeout=400)
    return Run(done, json.loads(found.read_text()) if found.exists() else [])


@pytest.fixture(scope="module")
def run(repository: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both stages of the plan for 16 NPUs, two depths of each."""
    return dryrun(repository, tmp_path_factory.mktemp("run"), "pretrain_codellama_34b")


def test_both_stages_compile_and_are_what_the_plan_says(run: Run) -> None:
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert [stage["layers"] for stage in run.stages] == [6, 6]
    checks = [check for stage in run.stages for check in stage["checks"]]
    assert len(checks) == 12 and all(check["ok"] for check in checks)
    assert "ok  Sends and Receives between the stages" in run.done.stdout


def test_what_is_left_out_and_what_was_changed_is_said(run: Run) -> None:
    for words in (
        "jit_level O1 instead of O2",
        "2 and 4 layers of a stage instead of 6",
        "Not in the peak: the kernels' workspace",
    ):
        assert words in run.done.stdout


def test_the_optimizer_is_in_the_peak(run: Run) -> None:
    for stage in run.stages:
        resident = stage["memory"]["resident"]
        assert resident["optimizer state"] > 2 * resident["weights"]
        assert stage["memory"]["peak"] > sum(resident.values())


def test_a_sharded_optimizer(repository: Path, cache: Path, tmp_path: Path) -> None:
    """The plan for 32 NPUs: two replicas share the state, and the last stage alone is compiled as it is."""
    run = dryrun(repository, tmp_path, "finetune_codellama_34b_32p", "--stage", "1", "--layers", "2")
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    (stage,) = run.stages
    assert [check["ok"] for check in stage["checks"]] == [True, True]
    assert stage["parameters"]["adam_m.lm_head.weight"]["shape"] == [128, 256]


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", SHAPES)
def test_all_layers_at_full_width(name: str, repository: Path, cache: Path, tmp_path: Path) -> None:
    """The shipped files as they are, from two small depths: minutes."""
    config = repository / f"configs/codellama/{name}.yaml"
    command = [sys.executable, "-m", "mindcode", "dryrun", "--config", str(config)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT OK" not in done.stdout and "DOES NOT FIT" not in done.stdout
