"""mindcode ckpt and the converter under MindFormers' name: what they print, write and refuse, and kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.shards import random_tensors, save_run

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.placements import Split
from mindcode.cli.main import main
from mindcode.parallel.dims import ParallelDims

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "tools" / "ckpt_transform" / "transform_checkpoint.sh"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder with a run on four ranks."""
    tensors = random_tensors()
    split = Split.of_tensors({name: t.shape for name, t in tensors.items()}, ParallelDims(1, 2, 2))
    for step in (3, 5):
        save_run(tmp_path / "run", tensors, split, Position(1, step))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ckpt(line: str) -> int:
    return main(["ckpt", *line.split()])


def test_there_and_back_is_the_same_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ckpt("merge run whole.ckpt") == 0
    assert capsys.readouterr().out == f"wrote whole.ckpt: {Path('whole.ckpt').stat().st_size:,} bytes\n"
    zero = "--enable_parallel_optimizer --parallel_optimizer_threshold 0"
    assert ckpt(f"transform whole.ckpt split --data_parallel 2 --pipeline_stage 2 --offset 1,-1 {zero}") == 0
    assert capsys.readouterr().out == "wrote split/checkpoint.json\n"
    assert ckpt("verify split") == 0
    assert ckpt("merge split again.ckpt") == 0
    assert Path("again.ckpt").read_bytes() == Path("whole.ckpt").read_bytes()


def test_inspect_shows_where_the_blocks_lie(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ckpt("inspect run --name layers.2.attention.wo") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[-1] for line in lines[:2]] == ["whole", "whole"]
    head = "model.layers.2.attention.wo.weight Float32 16 x 16 axis 1 in 2 2 x 1 in rank 2-3"
    assert head.split() in lines
    assert ckpt("inspect run --name nothing") == 2


def test_verify_names_the_damage_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("run/checkpoint/rank_2/tiny_rank_2-1_5.ckpt")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert ckpt("verify run") == 1
    said = capsys.readouterr()
    assert f"damaged: {path}" in said.out
    assert "whole: run/checkpoint/tiny-1_3.json" in said.out
    assert "mindcode: error: 1 of 2 checkpoints damaged" in said.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("merge nowhere whole.ckpt", "nowhere: no such file or folder"),
        ("transform run out --model_parallel 3", "is not divisible by model_parallel 3"),
        ("transform run out --pipeline_stage 3", "4 layers // 3 stages plus offset 0 hold 3 layers"),
        ("transform run out --pipeline_stage 2 --offset 1,0,-1", "offset: 3 numbers for 2 stages"),
        ("transform run out --dst_strategy strategy --data_parallel 2", "says the split itself"),
        ("transform run out --dst_strategy strategy", "strategy: no strategy file"),
        ("merge run run/checkpoint/rank_0/tiny_rank_0-1_5.ckpt", "is read and would be written over"),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ckpt(line) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mindcode: error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert not list(folder.glob("out/rank_*"))


@pytest.mark.parametrize("line", ["", "merge run whole.bin", "transform run out --data_parallel 0", "cut run"])
def test_wrong_flags_end_with_2(folder: Path, line: str) -> None:
    with pytest.raises(SystemExit) as error:
        ckpt(line)
    assert error.value.code == 2


def script(*words: str) -> subprocess.CompletedProcess[str]:
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", str(SCRIPT), *words], env=os.environ | programs, capture_output=True, text=True, timeout=120
    )


def test_the_script_of_mindformers_users(folder: Path) -> None:
    """From a run without a manifest, by strategies, to other degrees, and to one file."""
    assert ckpt("strategy run strategy") == 0
    assert ckpt("merge run whole.ckpt") == 0
    for manifest in Path("run/checkpoint").glob("*.json"):
        manifest.unlink()
    assert ckpt("transform whole.ckpt wide --data_parallel 2 --model_parallel 1") == 0
    assert ckpt("strategy wide wide_strategy") == 0
    done = script("run/checkpoint", "strategy", "out", "wide_strategy", "2", "2", "part_")
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        theirs = Path(f"out/checkpoint/rank_{rank}/part_{rank}.ckpt")
        assert theirs.read_bytes() == Path(f"wide/rank_{rank}/checkpoint_{rank}.ckpt").read_bytes()
    assert script("run/checkpoint", "strategy", "full", "None", "1", "1").returncode == 0
    assert Path("full/checkpoint/rank_0/checkpoint_0.ckpt").read_bytes() == Path("whole.ckpt").read_bytes()


def test_the_script_fails_with_a_reason(folder: Path) -> None:
    assert ckpt("strategy run strategy") == 0
    done = script("run/checkpoint", "None", "out", "strategy", "8", "2")
    assert (done.returncode, done.stderr) == (
        2,
        "mindcode: error: world_size 8: dst_strategy is of 4 ranks; give 4\n",
    )
    done = script("run/checkpoint", "None", "out", "strategy", "4", "3")
    assert (done.returncode, "transform_process_num 3: must divide world_size 4" in done.stderr) == (2, True)
    done = script("run/checkpoint", "None", "out")
    assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)


def until(what: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_killed_with_9_it_goes_on(tmp_path: Path) -> None:
    with CkptWriter(tmp_path / "large.ckpt") as writer:
        for layer in range(8):
            numbers = np.full((1024, 4096), layer, np.float32)
            writer.add(TensorRecord(f"model.layers.{layer}.attention.wq.weight", "Float32", numbers))
    command = [sys.executable, "-m", "mindcode.cli.main", "ckpt", "transform", str(tmp_path / "large.ckpt")]
    command += [str(tmp_path / "out"), "--pipeline_stage", "8", "--threads", "2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: list(tmp_path.glob("out/rank_*/.*.done")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("out/*.json"))
    finished = {note.parent / note.name[1:].split(".ckpt")[0] for note in tmp_path.glob("out/rank_*/.*.done")}
    before = {path: path.with_suffix(".ckpt").stat().st_mtime_ns for path in finished}
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    assert before == {path: path.with_suffix(".ckpt").stat().st_mtime_ns for path in finished}
    assert main(["ckpt", "verify", str(tmp_path / "out")]) == 0
    assert main(["ckpt", "merge", str(tmp_path / "out"), str(tmp_path / "back.ckpt")]) == 0
    assert (tmp_path / "back.ckpt").read_bytes() == (tmp_path / "large.ckpt").read_bytes()
    assert not list(tmp_path.glob("out/rank_*/.*"))
