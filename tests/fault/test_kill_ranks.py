"""A process of a training job is killed, whichever and whenever: the job ends at once, and the same command goes on.

No checkpoint is ever unreadable, no step before the last whole one is lost, and in the end losses, weights and the
optimizer's state are those of a run that nobody disturbed. A failure prints the seed; MINDCODE_FAULT_SEED repeats it.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import ROW_LENGTH, ROWS_PER_STEP, SPLITS, VOCAB_SIZE, Split, Training, configuration, kills
from helpers.launching import Place, free_port
from helpers.training import write_rows


def place_for(folder: Path, split: Split, steps: int) -> Place:
    """A folder with configuration and data for runs of so many steps."""
    (folder / "tiny.yaml").write_text(configuration(split))
    write_rows(folder / "data", rows=steps * ROWS_PER_STEP, row_length=ROW_LENGTH + 1, vocab_size=VOCAB_SIZE)
    return Place(folder, free_port())


def survives(folder: Path, split: Split, count: int, steps: int) -> None:
    """Kill `count` times, let the run finish, and compare it with one that nobody disturbed."""
    seed = int(os.environ.get("MINDCODE_FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nMINDCODE_FAULT_SEED={seed}, {split.processes} processes {split.flags}", flush=True)
    place = place_for(folder, split, steps)
    try:
        struck, calm = Training(place, split, "struck"), Training(place, split, "calm")
        for kill in kills(seed, count, split.processes):
            print(struck.strike(kill), flush=True)
        struck.finish()
        calm.finish()
        same_in_the_end(struck, calm, steps)
    finally:
        place.clear()


def same_in_the_end(struck: Training, calm: Training, steps: int) -> None:
    """Every measured number, and all of the weights and of the optimizer's state."""
    tolerance = struck.split.tolerance
    assert [row["step"] for row in calm.rows()] == list(range(1, steps + 1))
    for found_row, expected_row in zip(struck.rows(), calm.rows(), strict=True):
        assert found_row == pytest.approx(expected_row, rel=tolerance, abs=0.0), found_row["step"]
    found, expected = struck.tensors(), calm.tensors()
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        assert np.abs(found[name] - numbers).max() <= tolerance * np.abs(numbers).max(), name
    assert not list(struck.folder.rglob("*.tmp"))
    words = f"within {tolerance}" if tolerance else "bit for bit"
    print(f"after {steps} steps {len(expected)} tensors and all losses are equal, {words}", flush=True)


def test_two_kills(tmp_path: Path) -> None:
    survives(tmp_path, SPLITS["2 replicas, moments shared out"], count=2, steps=48)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_ten_kills(tmp_path: Path, split: Split) -> None:
    survives(tmp_path, split, count=10, steps=100)
