"""Samples files in every shape, and verdicts that survive a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.asking import TINY

from mindcode.evaluation.runner import score
from mindcode.evaluation.runner.judging import Judging, judge_stored
from mindcode.evaluation.runner.score import ScoreRequest, journal_path, results_path, score_samples
from mindcode.evaluation.runner.stored import read_samples
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError

TESTS = Path(__file__).resolve().parents[2]
PROBLEMS = {problem.task_id: problem for problem in TINY.problems}
RIGHT = {name: problem.prompt + problem.canonical_solution for name, problem in PROBLEMS.items()}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sources(*paths: Path) -> list[Sample]:
    return [item.sample for item in read_samples(TINY, TINY.problems, paths)]


def test_completions_solutions_and_generations_mean_the_same(tmp_path: Path) -> None:
    completions = [{"task_id": p.task_id, "completion": p.canonical_solution} for p in TINY.problems]
    solutions = [{"task_id": name, "solution": source} for name, source in RIGHT.items()]
    lists = tmp_path / "generations_tiny_1.json"
    lists.write_text(json.dumps([[source] for source in RIGHT.values()]))
    expected = [Sample(name, source) for name, source in RIGHT.items()]
    assert sources(write(tmp_path / "a.jsonl", completions)) == expected
    assert sources(write(tmp_path / "b.jsonl", solutions)) == expected == sources(lists)


def test_files_of_several_machines_are_one(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", [{"task_id": "t/0", "sample": 0, "completion": ""}])
    second = write(tmp_path / "b.jsonl", [{"task_id": "t/0", "sample": 1, "completion": " "}])
    assert len(sources(first, second)) == 2
    with pytest.raises(UserError, match=r"b.jsonl: sample 1: t/0 sample 1 is in .*a.jsonl, too"):
        sources(write(first, [{"task_id": "t/0", "sample": 1, "completion": ""}]), second)


def test_a_numbered_sample_counts_once(tmp_path: Path) -> None:
    first, other = ({"task_id": "t/0", "sample": 0, "completion": text} for text in ("a", "b"))
    assert len(sources(write(tmp_path / "a.jsonl", [first, first]))) == 1
    assert len(sources(write(tmp_path / "a.jsonl", [{**first, "sample": None}] * 2))) == 2, "unnumbered ones are two"
    with pytest.raises(UserError, match=r"a.jsonl: sample 2: a second t/0 sample 0, with another program"):
        sources(write(tmp_path / "a.jsonl", [first, other]))


def test_samples_of_other_problems_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"task_id": name, "solution": source} for name, source in RIGHT.items()])
    chosen = read_samples(TINY, TINY.problems[2:4], [path])
    assert [item.sample.task_id for item in chosen] == ["t/2", "t/3"]
    lists = tmp_path / "part.json"
    lists.write_text(json.dumps([["a"], ["b"]]))
    found = read_samples(TINY, TINY.problems[2:4], [lists])
    assert [item.sample for item in found] == [Sample("t/2", "a"), Sample("t/3", "b")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[[1]]", "expected a list of lists of texts"),
        ("a.json", "{}", "expected a list of lists of texts"),
        ("a.json", "[", "not JSON"),
        ("a.json", json.dumps([[]] * 7), "7 lists for 6 problems of tiny"),
        ("a.jsonl", '{"task_id": "t/0"}', "sample 1: expected"),
        ("a.jsonl", '{"task_id": "t/9", "solution": ""}', "there is no problem 't/9'"),
        ("a.jsonl", '{"task_id": "t/0", "completion": 3}', "sample 1: expected"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        sources(tmp_path / name)


def test_what_was_judged_is_not_judged_again(tmp_path: Path) -> None:
    """The second call finds every verdict in the journal, also those of equal programs."""
    journal, judging = tmp_path / "journal.jsonl", Judging(workers=1)
    samples = [Sample(name, source) for name, source in RIGHT.items()] * 2
    first = judge_stored(PROBLEMS, samples, judging, journal)
    before = journal.read_bytes()
    assert before.count(b"\n") == 6 and all(verdict.passed for verdict in first)
    journal.write_bytes(before.replace(b'"passed": true', b'"passed": false') + b'{"key": "half')
    again = judge_stored(PROBLEMS, samples, judging, journal)
    assert not any(verdict.passed for verdict in again), "verdicts come from the journal"
    patient = Judging(4.0, workers=1)
    assert all(verdict.passed for verdict in judge_stored(PROBLEMS, samples[:6], patient, journal))


def test_a_language_that_cannot_be_judged_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "missing", lambda name: "no go here" if name == "go" else None)
    mixed = replace(TINY, problems=(*TINY.problems[:2], replace(TINY.problems[2], language="go")))
    rows = [{"task_id": problem.task_id, "solution": RIGHT[problem.task_id]} for problem in mixed.problems]
    path = write(tmp_path / "samples.jsonl", rows)
    request = ScoreRequest(mixed, mixed.problems, Judging(workers=1))
    outcome = score_samples(request, read_samples(mixed, mixed.problems, [path]), results_path(path))
    assert outcome.left_out == {"go": "no go here"} and outcome.score.total.samples == outcome.score.total.passed == 2
    alone = replace(request, chosen=mixed.problems[2:])
    with pytest.raises(UserError, match="no go here"):
        score_samples(alone, read_samples(mixed, alone.chosen, [path]), results_path(path))


def test_killed_while_scoring_it_continues(tmp_path: Path) -> None:
    rows = [{"task_id": f"t/{n % 6}", "completion": f"    return x + {n % 6}  # {n}\n"} for n in range(200)]
    path = write(tmp_path / "samples.jsonl", rows)
    results = results_path(path)
    journal = journal_path(results)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    for enough in (3, 30):
        process = subprocess.Popen([sys.executable, __file__, str(path)], stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < enough):
            time.sleep(0.002)
        assert process.poll() is None, "killed before its end"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not results.exists() and journal.exists()
    score_all(path)
    lines = results.read_text().splitlines()
    assert len(lines) == 200 and all(json.loads(line)["passed"] for line in lines) and not journal.exists()


def score_all(path: Path) -> None:
    stored = read_samples(TINY, TINY.problems, [path])
    score_samples(ScoreRequest(TINY, TINY.problems, Judging(workers=1)), stored, results_path(path))


if __name__ == "__main__":
    score_all(Path(sys.argv[1]))
