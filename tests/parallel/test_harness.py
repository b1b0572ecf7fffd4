"""Benchmarks during training on several processes: every copy of the network answers a share, as one process would."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.harness_runs import PROBLEMS, HarnessPlace, make_place

from mindcode.utils.jsonl import read_jsonl

SPLIT = (
    *("--parallel_config.data_parallel=1", "--parallel_config.model_parallel=2", "--parallel_config.pipeline_stage=2"),
    *("--parallel_config.micro_batch_num=2", "--runner_config.gradient_accumulation_steps=1"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> HarnessPlace:
    return make_place(tmp_path_factory.mktemp("harness"))


@pytest.fixture(scope="module")
def answers(place: HarnessPlace) -> dict[str, str]:
    """What two stages of two tensor parts answered after step 2: two copies of the network."""
    command = place.launched("split", 4, *SPLIT)
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place.answers("split", 2)


def test_all_problems_are_answered_once_and_scored(place: HarnessPlace, answers: dict[str, str]) -> None:
    assert list(answers) == [f"sums/{number}" for number in range(PROBLEMS)], "in the order of the problems"
    assert place.scores("split") == [(2, pytest.approx(1 / PROBLEMS)), (4, pytest.approx(1 / PROBLEMS))]


def test_the_answers_are_those_of_one_process(place: HarnessPlace, answers: dict[str, str]) -> None:
    (manifest,) = (place.folder / "split" / "checkpoint").glob("tiny-*_2.json")
    flags = ["--load_checkpoint", str(manifest), "--task", "sums", "--tasks_dir", "tasks", "--temperature", "0"]
    flags += ["--max_tokens", "60", "--model.model_config.seq_length", "128"]
    command = [sys.executable, "-m", "mindcode", "generate", "--config", "tiny.yaml", *flags]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (samples,) = place.folder.glob("output/*_sums_*/samples.jsonl")
    assert {row["task_id"]: row["answer"] for row in read_jsonl(Path(samples))} == answers
