"""Generating samples: every sample once, whatever interrupts it; only with the settings it was begun with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.locking import held_by_another

from mindcode.evaluation.runner.answers import GenerationSummary, sample_seed
from mindcode.evaluation.runner.samples import GenerationPlan, generate_samples
from mindcode.evaluation.types import Answer, AnswerRequest, Problem, Sampling
from mindcode.utils.errors import UserError
from mindcode.utils.settings import settings_path

TESTS = Path(__file__).resolve().parents[2]
PROBLEMS = tuple(
    Problem(f"t/{index}", f"def f{index}(x):\n", f"f{index}", "def check(c): assert c(1) == 1\n") for index in range(5)
)
PLAN = GenerationPlan(sampling=Sampling(temperature=0.5), n_samples=3, seed=7)


class EchoBackend:
    """Answers each request with its own seed, the last request first."""

    def __init__(self, name: str = "echo", pause: float = 0.0) -> None:
        self.name, self.pause = name, pause
        self.asked: list[AnswerRequest] = []

    def identity(self) -> Mapping[str, str]:
        return {"weights": self.name}

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        self.asked = list(requests)
        for request in reversed(self.asked):
            time.sleep(self.pause)
            name = "f" + request.task_id.removeprefix("t/")
            text = f"def {name}(x):\n    return {request.seed}\n"
            yield Answer(request.task_id, request.sample, text, "eos", prompt_tokens=9, answer_tokens=4)


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_sample_of_every_problem_is_written(tmp_path: Path) -> None:
    output = tmp_path / "samples.jsonl"
    summary = generate_samples(PROBLEMS, PLAN, EchoBackend(), output)
    assert summary == GenerationSummary(kept=0, made=15, cut_off=0, answer_tokens=60)
    rows = {(row["task_id"], row["sample"]): row for row in rows_of(output)}
    assert set(rows) == {(problem.task_id, sample) for problem in PROBLEMS for sample in range(3)}
    assert rows["t/3", 2]["completion"] == f"    return {sample_seed(7, 't/3', 2)}\n"
    assert len({row["completion"] for row in rows.values()}) == 15, "each sample has a seed of its own"


def test_a_finished_file_is_left_alone_and_more_samples_are_added(tmp_path: Path) -> None:
    output = tmp_path / "samples.jsonl"
    generate_samples(PROBLEMS[:2], PLAN, EchoBackend(), output)
    before = output.read_bytes()
    again = EchoBackend()
    assert generate_samples(PROBLEMS[:2], PLAN, again, output).made == 0
    assert again.asked == [] and output.read_bytes() == before
    assert generate_samples(PROBLEMS, replace(PLAN, n_samples=4), EchoBackend(), output).made == 20 - 6


def test_two_processes_do_not_answer_into_one_file(tmp_path: Path) -> None:
    output, backend = tmp_path / "samples.jsonl", EchoBackend()
    with held_by_another(output), pytest.raises(UserError, match=r"samples.jsonl: another process is writing it"):
        generate_samples(PROBLEMS, PLAN, backend, output)
    assert backend.asked == [] and output.read_bytes() == b""
    assert generate_samples(PROBLEMS, PLAN, backend, output).made == 15


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    output = tmp_path / "samples.jsonl"
    output.touch()
    settings_path(output).write_text("{}", encoding="utf-8")
    assert generate_samples(PROBLEMS[:1], PLAN, EchoBackend(), output).made == 3


def test_killed_at_any_point_it_ends_with_the_same_samples(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    generate_samples(PROBLEMS, PLAN, EchoBackend(), whole)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    for enough in (3, 8):
        command = [sys.executable, __file__, str(broken)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None and (not broken.exists() or broken.read_bytes().count(b"\n") < enough):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with broken.open("ab") as stream:
            stream.write(b'{"task_id": "t/0", "comp')
    summary = generate_samples(PROBLEMS, PLAN, EchoBackend(), broken)
    assert summary.kept >= 8 and summary.kept + summary.made == 15
    assert sorted(broken.read_text().splitlines()) == sorted(whole.read_text().splitlines())


@pytest.mark.parametrize(
    ("plan", "backend"),
    [
        (replace(PLAN, seed=8), EchoBackend()),
        (replace(PLAN, prompt_style="completion"), EchoBackend()),
        (replace(PLAN, sampling=Sampling(temperature=0.7)), EchoBackend()),
        (PLAN, EchoBackend("other")),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, plan: GenerationPlan, backend: EchoBackend) -> None:
    output = tmp_path / "samples.jsonl"
    generate_samples(PROBLEMS, PLAN, EchoBackend(), output)
    with pytest.raises(UserError, match="begun with other settings"):
        generate_samples(PROBLEMS, plan, backend, output)


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "samples.jsonl"
    output.write_text("{}\n")
    with pytest.raises(UserError, match="without"):
        generate_samples(PROBLEMS, PLAN, EchoBackend(), output)
    assert not settings_path(output).exists()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (replace(PLAN, sampling=Sampling()), "greedy decoding"),
        (replace(PLAN, n_samples=0), "n_samples is 0"),
        (replace(PLAN, prompt_style="chatty"), "did you mean chat"),
        (replace(PLAN, completion_form="whole"), "completion form: unknown name"),
    ],
)
def test_plans_that_make_no_sense_are_refused(tmp_path: Path, plan: GenerationPlan, message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate_samples(PROBLEMS, plan, EchoBackend(), tmp_path / "samples.jsonl")
    assert os.listdir(tmp_path) == []


if __name__ == "__main__":
    generate_samples(PROBLEMS, PLAN, EchoBackend(pause=0.05), Path(sys.argv[1]))
