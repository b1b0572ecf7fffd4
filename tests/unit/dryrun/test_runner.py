"""Processes that end badly, and how many run at a time."""

import signal
import sys
from pathlib import Path

import pytest

from mindcode.dryrun import runner
from mindcode.dryrun.job import Answer, Job, read_answer, read_job, write_answer, write_job
from mindcode.runtime.processes import Child


def test_questions_and_answers_survive_the_way(tmp_path: Path) -> None:
    job = Job("x.yaml", (("a.b", "1"), ("c", "[1, 2]")), rank=8, folder=str(tmp_path))
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job
    assert read_answer(job) is None
    write_answer(job, Answer(1.5, 2, 3))
    assert read_answer(job) == Answer(1.5, 2, 3)


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGKILL, "killed"), (0, "exit code 3")]
)
def test_an_end_without_an_answer_is_told(number: int, words: str, tmp_path: Path) -> None:
    program = f"import os, sys; print('last words', flush=True); os.kill(os.getpid(), {int(number)}); sys.exit(3)"
    child = Child("rank 0", [sys.executable, "-c", program], {}, tmp_path / "log")
    while child.exit_code() is None:
        pass
    answer = runner._without_a_word(child)
    assert words in answer.error
    assert "last words" in answer.trace


def test_as_many_at_a_time_as_cores_and_memory_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.os, "sched_getaffinity", lambda process: range(4))
    monkeypatch.setattr(runner, "_available_bytes", lambda: 10 << 30)
    assert [runner.places(size << 30) for size in (1, 4, 20)] == [4, 2, 1]
