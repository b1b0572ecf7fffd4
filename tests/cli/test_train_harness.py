"""BigCodeEvalHarness: a run that evaluates itself, killed while it does, and the same on its newest weights."""

import dataclasses
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.harness_runs import PROBLEMS, STEPS, HarnessPlace, make_place

from mindcode.cli.harness_benchmarks import benchmarks
from mindcode.cli.harness_shares import forget_other_shares, gather_shares, share_folder
from mindcode.config.loader import load_config
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl, write_jsonl
from mindcode.utils.settings import settings_path

OUT = [("output_dir", "unit")]


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
    """After step 2 by force and then with Ctrl-C, after the last step with Ctrl-C, and at last while it scores."""
    shares = {step: place.evaluated("killed", step) / "copy_0" / "samples.jsonl" for step in (2, STEPS)}
    assert stop_when(place, "killed", signal.SIGKILL, lambda: lines(shares[2]) > 3) == -signal.SIGKILL
    before = lines(shares[2])
    assert 3 < before < PROBLEMS
    assert stop_when(place, "killed", signal.SIGINT, lambda: lines(shares[2]) > before) == 130
    assert lines(shares[2]) < PROBLEMS
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


def test_only_its_own_answers_to_later_steps_are_forgotten(
    place: HarnessPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    (benchmark,) = benchmarks(load_config(Path("tiny.yaml"), OUT), Path("tiny.yaml"), OUT)
    for name in ("sums_2", "sums_4", "other_4", "sums_x", "sums_4/copy_0"):
        (benchmark.folder / name).mkdir(parents=True)
    (benchmark.folder / "sums_9").touch()
    benchmark.forget_after(2)
    assert {path.name for path in benchmark.folder.iterdir()} == {"sums_2", "other_4", "sums_x", "sums_9"}


def test_shares_of_other_questions_are_not_mixed_in(place: HarnessPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer problems than an earlier start asked, then another temperature."""
    monkeypatch.chdir(place.folder)
    (asked,) = benchmarks(load_config(Path("tiny.yaml"), OUT), Path("tiny.yaml"), OUT)
    (evaluation,), folder = asked.evaluations, asked.run_folder(asked.evaluations[0], 7)
    rows = [{"task_id": f"sums/{number}", "sample": 0, "answer": ""} for number in (5, 1, 0)]
    samples = share_folder(folder, 0).samples
    samples.parent.mkdir(parents=True)
    write_jsonl(samples, rows)
    share_folder(folder, 0).timings.touch()
    settings = {**evaluation.settings(), "sampling": asdict(evaluation.sampling), "seed": evaluation.seed, "model": {}}
    settings_path(samples).write_text(json.dumps(settings))
    few = dataclasses.replace(evaluation, options=dataclasses.replace(evaluation.options, limit=2))
    gather_shares(few, folder)
    assert [row["task_id"] for row in read_jsonl(folder.samples)] == ["sums/0", "sums/1"]
    forget_other_shares(few, folder)
    assert samples.exists(), "only fewer problems are asked"
    forget_other_shares(dataclasses.replace(few, seed=99), folder)
    assert not samples.exists()


def test_scores_of_two_callbacks_with_one_task_have_names_of_their_own(
    place: HarnessPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    one = "{bigcode_args: {tasks: sums, tasks_dir: tasks}, max_sequence_length: 128}"
    overrides = [("bigcode_eval_harness", f"[{one}, {one}]")]
    found = benchmarks(load_config(Path("tiny.yaml"), overrides), Path("tiny.yaml"), overrides)
    assert [b.score_name(e) for b in found for e in b.evaluations] == ["bigcode_0/sums", "bigcode_1/sums"]


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
        ("bigcode_args: {tasks: mbpp, n_samples: 0}", "bigcode_args.n_samples: 0, expected at least 1"),
        ("bigcode_args: {tasks: mbpp, instruction_tokens: 'a,b'}", "expected USER,END,ASSISTANT with two commas"),
        (
            "bigcode_args: {tasks: sums, tasks_dir: tasks, limit_start: 24}",
            "no problem is left; sums has 24",
        ),
        ("name_scope: .., bigcode_args: {tasks: mbpp}", "name_scope: '..', expected letters, digits, - and _"),
        ("name_scope: checkpoint, bigcode_args: {tasks: mbpp}", "and no folder that a run has anyway"),
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
