"""A real run refuses what would make it compute nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.runtime.simulation import LEVEL, MARKER, PATH, refuse_simulation
from mindcode.utils.errors import UserError


def test_a_stub_on_the_library_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    with pytest.raises(UserError, match=f"{PATH}: {tmp_path} holds a stub of CANN"):
        refuse_simulation({PATH: f"/usr/lib:{tmp_path}"})


def test_simulation_is_refused() -> None:
    with pytest.raises(UserError, match=f"{LEVEL}: 1, with which MindSpore computes nothing"):
        refuse_simulation({LEVEL: "1"})


def test_other_environments_are_not(tmp_path: Path) -> None:
    refuse_simulation({})
    refuse_simulation({PATH: f":{tmp_path}", LEVEL: ""})


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--config", "configs/codellama/pretrain_codellama_tiny_cpu.yaml", "--train_dataset_dir", "none"],
        ["launch", "--worker_num", "2", "run_mindcode.py"],
    ],
    ids=["train", "launch"],
)
def test_verbs_that_run_for_real_say_so_in_one_line(command: list[str], tmp_path: Path, repository: Path) -> None:
    (tmp_path / MARKER).touch()
    done = subprocess.run(
        [sys.executable, "-m", "mindcode", *command],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), PATH: str(tmp_path)},
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"mindcode: error: {PATH}: {tmp_path} holds a stub of CANN")
