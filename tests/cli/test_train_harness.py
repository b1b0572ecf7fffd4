"""BigCodeEvalHarness: a run that evaluates itself, killed while it does, and the same on its newest weights."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.harness_runs import PROBLEMS, STEPS, HarnessPlace, make_place

from mindcode.cli.harness_benchmarks import benchmarks
from mindcode.config.loader import load_config
from mindcode.utils.errors import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> HarnessPlace:
    return make_place(tmp_path_factory.mktemp("harness"))


def run(place: HarnessPlace, command: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def whole(place: HarnessPlace) -> str:
    """The output folder of a run that nothing disturbed."""
    run(place, place.train("whole"))
    return "whole"


def stop_when(place: HarnessPlace, output_dir: str, number: signal.Signals, moment: Callable[[], bool]) -> int:
    """Start a run, send a signal at a moment, and return the exit code."""
    process = subprocess.Popen(place.train(output_dir), cwd=place.folder, stderr=subprocess.DEVNULL)
    while process.poll() is None and not moment():
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait()


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_answers_and_scores_as_it_was_asked(place: HarnessPlace, whole: str) -> None:
    assert [step for step, _ in place.scores(whole)] == [2, STEPS]
    assert all(score == pytest.approx(1 / PROBLEMS) for _, score in place.scores(whole))
    for step in (2, STEPS):
        folder, summary = place.evaluated(whole, step), place.summary(whole, step)
        assert summary["pass_at_k"] is None and summary["scores"]["passed"] == 1  # type: ignore[index]
        assert {path.name for path in folder.iterdir()} >= {
            f"generations_sums_{step}.json",
            f"references_sums_{step}.json",
            "evaluation_results.json",
        }
        assert not list(folder.glob("copy_*")), "the shares are in samples.jsonl"
    assert place.answers(whole, 2) != place.answers(whole, STEPS), "other weights, other answers"


def test_the_same_benchmarks_on_the_newest_checkpoint(place: HarnessPlace, whole: str) -> None:
    command = place.train(whole)
    command[3:4] = ["evaluate"]
    words = [word for word in command if word not in ("--train_dataset_dir", "data/rows.mindrecord")]
    assert run(place, words).stdout.splitlines()[-1] == f"pass@1: {1 / PROBLEMS:.4f}"
    (samples,) = place.folder.glob(f"output/{whole}_sums_*/samples.jsonl")
    assert len(samples.read_text().splitlines()) == PROBLEMS
    limited = run(place, [*words, "--limit", "1"])
    assert limited.stdout.splitlines()[-1] == "pass@1: 1.0000", "the command line wins"


def test_killed_while_it_answers_it_goes_on_with_the_next_answer(place: HarnessPlace, whole: str) -> None:
    """After step 2 by force, after the last step with Ctrl-C, and at last while it scores."""
    shares = {step: place.evaluated("killed", step) / "copy_0" / "samples.jsonl" for step in (2, STEPS)}
    assert stop_when(place, "killed", signal.SIGKILL, lambda: lines(shares[2]) > 3) == -signal.SIGKILL
    assert 3 < lines(shares[2]) < PROBLEMS
    assert stop_when(place, "killed", signal.SIGINT, lambda: lines(shares[STEPS]) > 3) == 130
    assert 3 < lines(shares[STEPS]) < PROBLEMS
    scoring = (place.evaluated("killed", STEPS) / "summary.json").exists
    assert stop_when(place, "killed", signal.SIGKILL, scoring) == -signal.SIGKILL
    done = run(place, place.train("killed"))
    assert "continuing after step 4 of 4" in done.stderr
    for step in (2, STEPS):
        assert place.answers("killed", step) == place.answers(whole, step)
    assert place.scores("killed") == place.scores(whole)
    assert "already finished: 4 steps" in run(place, place.train("killed")).stderr


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ("bigcode_args: {tasks: humaneval}", "leaves no room for an answer within 16; raise max_sequence_length"),
        ("bigcode_args: {tasks: humanevl}", "humaneval"),
        ("bigcode_args: {tasks: humaneval_instruct}", "has no chat template"),
        ("bigcode_args: {tasks: sums, tasks_dir: tasks, n_samples: 2}", "n_samples is 2, but greedy decoding"),
        ("bigcode_args: {task: humaneval}", "bigcode_args.task: unknown key; did you mean tasks?"),
        ("every_n_steps: 3", "bigcode_eval_harness[0].bigcode_args: tasks: missing"),
        ("batch_size: 0, bigcode_args: {tasks: mbpp}", "0, expected at least 1"),
        ("bigcode_args: {tasks: mbpp, check_references: True}", "not supported here"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_first_step(
    place: HarnessPlace, monkeypatch: pytest.MonkeyPatch, callback: str, message: str
) -> None:
    monkeypatch.chdir(place.folder)
    overrides = [("bigcode_eval_harness", f"[{{{callback}}}]")]
    with pytest.raises(UserError, match=re.escape(message)):
        benchmarks(load_config(Path("tiny.yaml"), overrides), Path("tiny.yaml"), overrides)


def test_npus_are_told_of_the_command_for_checkpoints(place: HarnessPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    config = load_config(Path("tiny.yaml"), [("context.device_target", "Ascend")])
    with pytest.raises(UserError, match="mindcode evaluate --load_checkpoint OUTPUT_DIR"):
        benchmarks(config, Path("tiny.yaml"), ())
