"""Damage of every kind is found and named; what is whole is said to be."""

import json
from collections.abc import Callable
from pathlib import Path

import mindspore
import numpy as np
import pytest
from helpers.shards import random_tensors, save_run

from mindcode.checkpoint.ckpt_file import scan_ckpt
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.verify import Verdict, size_of, targets, verify
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError

WQ = "model.layers.1.attention.wq.weight"
TENSORS = random_tensors()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A checkpoint of two replicas of two parts."""
    split = Split.of_tensors({name: t.shape for name, t in TENSORS.items()}, ParallelDims(2, 2, 1), 0, 0)
    return save_run(tmp_path, TENSORS, split, Position(1, 5))


def check(path: Path) -> Verdict:
    return verify(path, lambda _: None)


def rank_file(manifest: Path, rank: int) -> Path:
    return manifest.parent / f"rank_{rank}" / f"tiny_rank_{rank}-1_5.ckpt"


def flip(path: Path, name: str) -> None:
    """Change one bit of a tensor."""
    (entry,) = (entry for entry in scan_ckpt(path) if entry.name == name)
    content = bytearray(path.read_bytes())
    content[entry.segments[0].offset + 5] ^= 1
    path.write_bytes(content)


def edit(manifest: Path, change: Callable[[dict], None]) -> None:
    tree = json.loads(manifest.read_text())
    change(tree)
    manifest.write_text(json.dumps(tree))


def test_what_is_whole(manifest: Path, tmp_path: Path) -> None:
    done: list[int] = []
    verdict = verify(manifest, done.append)
    assert verdict.problems == ()
    assert sum(done) < verdict.bytes == size_of(manifest)
    assert targets(tmp_path) == targets(manifest) == targets(rank_file(manifest, 3)) == [manifest]


def test_a_flipped_bit_is_found_in_its_tensor(manifest: Path) -> None:
    flip(rank_file(manifest, 2), f"adam_v.{WQ}")
    assert check(manifest).problems == (
        f"{rank_file(manifest, 2)}: the bytes of adam_v.{WQ} are not those that were written",
    )


def test_missing_short_and_unreadable_files_are_all_named(manifest: Path) -> None:
    rank_file(manifest, 0).unlink()
    short = rank_file(manifest, 1)
    size = short.stat().st_size
    short.write_bytes(short.read_bytes()[:-7])
    foreign = rank_file(manifest, 3)
    foreign.write_bytes(b"\xff" * foreign.stat().st_size)
    problems = check(manifest).problems
    assert problems[:2] == (f"{rank_file(manifest, 0)}: missing", f"{short}: {size - 7} bytes instead of {size}")
    assert "truncated, or not a MindSpore .ckpt" in problems[2]


def test_blocks_that_do_not_cover_and_copies_that_differ(manifest: Path) -> None:
    def change(tree: dict) -> None:
        tree["tensors"][WQ]["slices"] = tree["tensors"][WQ]["slices"][::2]
        tree["tensors"]["lm_head.weight"]["slices"][2][3] ^= 1

    edit(manifest, change)
    problems = check(manifest).problems
    assert f"{manifest}: the blocks of {WQ} do not cover [16, 16]" in problems
    first, second = (f"rank_{rank}/tiny_rank_{rank}-1_5.ckpt" for rank in (0, 2))
    assert f"{manifest}: lm_head.weight at [0, 0] is not the same in {first} and {second}" in problems


def test_numbers_and_tensors_that_the_manifest_does_not_know(manifest: Path) -> None:
    def change(tree: dict) -> None:
        tree["state"]["loss_scale"][1] = 3.0
        tree["tensors"]["model.norm_out.weight"]["dtype"] = "Float16"
        del tree["tensors"]["lm_head.weight"]

    edit(manifest, change)
    problems = check(manifest).problems
    file = rank_file(manifest, 0)
    assert f"{file}: loss_scale is not 3 as in the manifest" in problems
    assert f"{file}: holds lm_head.weight, which the manifest does not name" in problems
    assert any("holds Float32 [16] for model.norm_out.weight, the manifest says Float16 [16]" in p for p in problems)


def test_a_manifest_that_is_cut_off_is_damage(manifest: Path) -> None:
    manifest.write_text(manifest.read_text()[:300])
    assert size_of(manifest) == 0
    assert "not the manifest of a checkpoint" in check(manifest).problems[0]


def test_a_file_of_mindspore_is_held_to_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "theirs.ckpt"
    records = [{"name": "weight", "data": mindspore.Tensor(np.arange(64, dtype=np.float32))}]
    mindspore.save_checkpoint(records, str(path), crc_check=True)
    path.chmod(0o600)
    assert check(path).problems == ()
    flip(path, "weight")
    assert check(path).problems == (f"{path}: the checksum at its end does not fit what is before it",)
    path.write_bytes(path.read_bytes()[:100])
    assert "truncated" in check(path).problems[0]


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no manifest"):
        targets(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        targets(tmp_path / "nowhere")
