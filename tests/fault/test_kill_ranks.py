"""A process of a training job is killed, whichever and whenever: the job ends at once, and the same command goes on.

No checkpoint is ever unreadable, no step before the last whole one is lost, and in the end the losses and every bit of
the weights are those of a run that nobody disturbed. A failure prints the seed; MINDCODE_FAULT_SEED repeats it.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import CONFIG, ROW_LENGTH, ROWS_PER_STEP, SPLITS, VOCAB_SIZE, Split, Training, kills
from helpers.launching import Place, free_port
from helpers.training import write_rows


def place_for(folder: Path, steps: int) -> Place:
    """A folder with configuration and data for runs of so many steps."""
    (folder / "tiny.yaml").write_text(CONFIG)
    write_rows(folder / "data", rows=steps * ROWS_PER_STEP, row_length=ROW_LENGTH + 1, vocab_size=VOCAB_SIZE)
    return Place(folder, free_port())


def survives(folder: Path, split: Split, count: int, steps: int) -> None:
    """Kill `count` times, let the run finish, and compare it with one that nobody disturbed."""
    seed = int(os.environ.get("MINDCODE_FAULT_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nMINDCODE_FAULT_SEED={seed}, {split.processes} processes {split.flags}", flush=True)
    place = place_for(folder, steps)
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
    """Every measured number and every bit of weights and optimizer state."""
    assert [row["step"] for row in calm.rows()] == list(range(1, steps + 1))
    assert struck.rows() == calm.rows()
    found, expected = struck.tensors(), calm.tensors()
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name].view(np.uint8), expected[name].view(np.uint8)) for name in expected)
    assert not list(struck.folder.rglob("*.tmp"))
    print(f"after {steps} steps {len(expected)} tensors and all losses are equal, bit for bit", flush=True)


def test_two_kills(tmp_path: Path) -> None:
    survives(tmp_path, SPLITS["2 replicas, moments shared out"], count=2, steps=48)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_ten_kills(tmp_path: Path, split: Split) -> None:
    survives(tmp_path, split, count=10, steps=100)
