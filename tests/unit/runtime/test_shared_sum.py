"""Sums through shared memory: of real processes, in the order of the group, and what happens when one is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

MEMBER = """
import sys
import numpy as np
from mindcode.runtime.shared_sum import HALF, meet

name, index, size, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
add_up = meet(name, index, size)

def array(member, count, dtype):
    return np.random.default_rng(member).standard_normal(count).astype(dtype)

for dtype in (np.float32, np.float16):
    step = HALF // np.dtype(dtype).itemsize
    for count in (1, 1000, step - 1, step, step + 1, 3 * step + 5):
        expected = array(0, count, dtype)
        for member in range(1, size):
            expected = expected + array(member, count, dtype)
        mine = array(index, count, dtype)
        for _ in range(3):
            assert add_up(mine).tobytes() == expected.tobytes(), (dtype, count)
assert add_up(np.ones((2, 3), np.float32)).tolist() == [[size] * 3] * 2
assert add_up(np.float32(2)).shape == ()
if mode != "fine" and index == 0:
    if mode == "other":
        add_up(np.zeros(7, np.float32))
    sys.exit(0)
if mode != "fine":
    try:
        add_up(np.zeros(5, np.float32))
    except RuntimeError as error:
        print(error)
"""


def together(folder: Path, size: int, mode: str) -> list[str]:
    """Run the members; return what each of them printed."""
    words = [[f"{folder.name}-{mode}", str(index), str(size), mode] for index in range(size)]
    members = [
        subprocess.Popen(
            [sys.executable, "-c", MEMBER, *own], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for own in words
    ]
    ended = [(member.communicate(timeout=120)[0], member.returncode) for member in members]
    if mode != "other":
        assert all(code == 0 for _, code in ended), ended
    return [out for out, _ in ended]


@pytest.mark.parametrize("size", [2, 3])
def test_all_get_the_same_bits(tmp_path: Path, size: int) -> None:
    assert together(tmp_path, size, "fine") == [""] * size


def test_a_member_that_is_gone_is_noticed(tmp_path: Path) -> None:
    assert together(tmp_path, 2, "gone")[1].strip() == "another process of the job has ended"


def test_different_sums_are_not_mixed_up(tmp_path: Path) -> None:
    first, second = together(tmp_path, 2, "other")
    assert "RuntimeError: the processes of the job add up different things" in first
    assert second.strip() == "the processes of the job add up different things"
