"""`mindcode predict` on two processes: killed in the middle, run again, and equal to one process."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.launching import Place, ended, free_port, wait_for
from helpers.predicting import write_model

from mindcode.cli.main import guard


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder to launch from; whatever a test starts there is gone afterwards."""
    place = Place(tmp_path, free_port())
    yield place
    place.clear()


def test_killed_continued_and_equal_to_one_process(place: Place) -> None:
    folder = place.folder
    words = [*write_model(folder), "--input_file", str(folder / "prompts.jsonl")]
    prompts = [{"id": str(number), "prompt": "word " * (number % 9 + 1)} for number in range(24)]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)), encoding="utf-8")
    words += ["--temperature", "0.9", "--max_new_tokens", "60"]
    launched = ["-m", "mindcode", "predict", *words, "--model_parallel", "2", "--output_file", "two.jsonl"]

    job = place.launch(*place.flags(), sys.executable, *launched)
    wait_for(lambda: len(lines(folder / "two.jsonl")) > 4, seconds=200, every=0.01)
    os.kill(place.worker(1), signal.SIGKILL)
    code, _, errors = ended(job, 200)
    assert code == 128 + signal.SIGKILL and "rank 1 was ended by SIGKILL" in errors
    before = lines(folder / "two.jsonl")
    assert 4 < len(before) < 24 and place.left_over() == []

    code, shown, errors = ended(place.launch(*place.flags(), sys.executable, *launched), 200)
    assert code == 0, errors
    assert "answers: two.jsonl" in shown and "predict" not in place.log("worker_1.log")
    assert lines(folder / "two.jsonl")[: len(before)] == before

    assert guard("mindcode.cli.predict", [*words, "--output_file", str(folder / "one.jsonl")]) == 0
    one, two = (
        {row["id"]: row for row in map(json.loads, lines(folder / name))} for name in ("one.jsonl", "two.jsonl")
    )
    assert one == two and len(one) == 24


def lines(path: Path) -> list[str]:
    """Its complete lines; none when it does not exist."""
    return path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.is_file() else []
