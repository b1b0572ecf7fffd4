"""Every split into every other and back, bit for bit; merging; killed and repeated work; what is refused."""

import os
import shutil
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers.shards import STATE, TINY, random_tensors, save_run

from mindcode.checkpoint import block_file
from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, read_ckpt
from mindcode.checkpoint.manifest import Part, Position, read_manifest
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.reshard import Target, merge, shapes_of, transform
from mindcode.checkpoint.runs import Checkpoint
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError

UNEVEN = (1, 0)
"""Three layers on two stages."""
SPLITS = [
    (ParallelDims(data, model, stages), zero)
    for data, model, stages in product((1, 2), repeat=3)
    for zero in ((None, 0) if data == 2 else (None,))
]


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files: the order of writes to the disk is looked at elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def split_of(tensors: dict[str, np.ndarray], dims: ParallelDims, zero: int | None = None) -> Split:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return Split.of_tensors(shapes, dims, UNEVEN if dims.pipeline_stage == 2 else 0, zero)


def assert_holds(path: Path, tensors: dict[str, np.ndarray]) -> None:
    checkpoint = open_checkpoint(path)
    assert shapes_of(checkpoint) == {name: tensor.shape for name, tensor in tensors.items()}
    for name, numbers in checkpoint.read({name: whole(tensor.shape) for name, tensor in tensors.items()}):
        assert numbers.tobytes() == tensors[name].tobytes(), name
    assert {name: float(number.array) for name, number in checkpoint.state.items()} == {
        number.name: float(number.array) for number in STATE
    }


def every_pair(count: int) -> list[int]:
    """A walk on `count` places that takes each way between two of them exactly once (Hierholzer 1873)."""
    ways = {place: [other for other in range(count) if other != place] for place in range(count)}
    stack, walk = [0], []
    while stack:
        if ways[stack[-1]]:
            stack.append(ways[stack[-1]].pop())
        else:
            walk.append(stack.pop())
    return walk


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_every_split_into_every_other_is_bit_for_bit(tmp_path: Path, tied: bool) -> None:
    config = replace(TINY, num_layers=3, tie_word_embeddings=tied)
    tensors = {name: t for name, t in random_tensors(config).items() if not name.startswith("adam_v.")}
    walk = every_pair(len(SPLITS))
    assert len(set(pairwise(walk))) == len(SPLITS) * (len(SPLITS) - 1)
    source = save_run(tmp_path / "run", tensors, split_of(tensors, *SPLITS[0]), Position(1, 5)).parent
    for number, place in enumerate(walk[1:]):
        target = Target(tmp_path / str(number))
        transform(Source(source), target, split_of(tensors, *SPLITS[place]))
        assert_holds(target.manifest, tensors)
        shutil.rmtree(source)
        source = target.folder


class Run(NamedTuple):
    """A run on eight ranks with sharded optimizer state."""

    tensors: dict[str, np.ndarray]
    source: Source


@pytest.fixture
def run(tmp_path: Path) -> Run:
    tensors = random_tensors(replace(TINY, num_layers=3))
    split = split_of(tensors, ParallelDims(2, 2, 2), 0)
    return Run(tensors, Source(save_run(tmp_path / "run", tensors, split, Position(1, 5)).parent))


def test_a_merged_file_is_complete_and_splits_again(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "whole.ckpt"
    merge(run.source, path)
    assert_holds(path, run.tensors)
    target = Target(tmp_path / "again", "part_")
    transform(Source(path), target, split_of(run.tensors, ParallelDims(1, 2, 2)))
    assert_holds(target.manifest, run.tensors)
    assert target.file(3) == tmp_path / "again" / "rank_3" / "part_3.ckpt"
    assert target.file(3).is_file()


def test_the_weights_alone(run: Run, tmp_path: Path) -> None:
    merge(replace(run.source, weights_only=True), tmp_path / "weights.ckpt")
    found = {record.name: record.array for record in read_ckpt(tmp_path / "weights.ckpt")}
    assert sorted(found) == sorted(name for name in run.tensors if not name.startswith("adam_"))
    assert all(found[name].tobytes() == run.tensors[name].tobytes() for name in found)


def test_half_precision_keeps_its_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    bits = random.integers(0, 1 << 16, (64, 48), np.uint16)
    with CkptWriter(tmp_path / "half.ckpt") as writer:
        writer.add(TensorRecord("lm_head.weight", "BFloat16", bits))
    target = Target(tmp_path / "out")
    split = Split.of_tensors({"lm_head.weight": bits.shape}, ParallelDims(1, 4, 1))
    transform(Source(tmp_path / "half.ckpt"), target, split)
    merge(Source(target.folder), tmp_path / "back.ckpt")
    (record,) = read_ckpt(tmp_path / "back.ckpt")
    assert (record.dtype, record.array.tobytes()) == ("BFloat16", bits.tobytes())


def test_several_threads_write_the_same(run: Run, tmp_path: Path) -> None:
    split = split_of(run.tensors, ParallelDims(1, 2, 1))
    one, two = Target(tmp_path / "one"), Target(tmp_path / "two")
    transform(run.source, one, split)
    transform(run.source, two, split, threads=2)
    for rank in range(2):
        assert one.file(rank).read_bytes() == two.file(rank).read_bytes()
    assert one.manifest.read_text() == two.manifest.read_text()


def test_an_error_in_one_file_ends_the_others(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_blocks = block_file.write_blocks

    def failing(checkpoint: Checkpoint, path: Path, *arguments: object) -> Part:
        if path.name == "checkpoint_3.ckpt":
            raise UserError("no more")
        return write_blocks(checkpoint, path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("mindcode.checkpoint.reshard_files.write_blocks", failing)
    target = Target(tmp_path / "out")
    with pytest.raises(UserError, match="no more"):
        transform(run.source, target, split_of(run.tensors, ParallelDims(1, 2, 2)), threads=4)
    assert not target.manifest.exists()
    assert not list(target.folder.rglob("*.tmp"))


def test_each_process_of_several_may_write_its_share(run: Run, tmp_path: Path) -> None:
    target, split = Target(tmp_path / "out"), split_of(run.tensors, ParallelDims(1, 2, 2))
    transform(run.source, target, split, ranks=(2, 3))
    assert not target.manifest.exists()
    transform(run.source, target, split, ranks=(0, 1))
    assert_holds(target.manifest, run.tensors)
    assert not list(target.folder.rglob(".*"))


def test_a_killed_transformation_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, split = Target(tmp_path / "out"), split_of(run.tensors, ParallelDims(1, 2, 2))
    write_blocks, written = block_file.write_blocks, []

    def until_killed(*arguments: object) -> Part:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(arguments[1])
        return write_blocks(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("mindcode.checkpoint.reshard_files.write_blocks", until_killed)
    with pytest.raises(KeyboardInterrupt):
        transform(run.source, target, split)
    assert not target.manifest.exists()
    target.file(1).unlink()  # what was lost since is written again, too
    written.clear()
    monkeypatch.setattr(
        "mindcode.checkpoint.reshard_files.write_blocks", lambda *a: written.append(a[1]) or write_blocks(*a)
    )
    transform(run.source, target, split)
    assert written == [target.file(1), target.file(2), target.file(3)]
    assert_holds(target.manifest, run.tensors)
    assert not list(target.folder.rglob(".*"))


def test_other_work_in_the_same_folder_takes_nothing_over(run: Run, tmp_path: Path) -> None:
    target = Target(tmp_path / "out")
    transform(run.source, target, split_of(run.tensors, ParallelDims(1, 2, 2)), ranks=(0, 1, 2))
    transform(run.source, target, split_of(run.tensors, ParallelDims(1, 4, 1)))
    assert_holds(target.manifest, run.tensors)
    transform(run.source, target, split_of(run.tensors, ParallelDims(1, 2, 1)))
    assert_holds(target.manifest, run.tensors)
    assert len(read_manifest(target.manifest).files) == len(list(target.folder.rglob("*.ckpt"))) == 2
    assert not list(target.folder.rglob(".*"))


def test_its_own_files_are_not_written_over(run: Run, tmp_path: Path) -> None:
    target = Target(tmp_path / "out")
    transform(run.source, target, split_of(run.tensors, ParallelDims(1, 2, 1)))
    with pytest.raises(UserError, match=r"checkpoint_0\.ckpt: is read and would be written over"):
        transform(Source(target.folder), target, split_of(run.tensors, ParallelDims(1, 1, 1)))
    with pytest.raises(UserError, match=r"checkpoint_1\.ckpt: is read and would be written over"):
        merge(Source(target.folder), target.file(1))
    assert_holds(target.manifest, run.tensors)


def test_degrees_that_do_not_divide_are_named_with_the_numbers(run: Run, tmp_path: Path) -> None:
    shapes = {name: tensor.shape for name, tensor in run.tensors.items()}
    with pytest.raises(UserError, match=r"3 layers // 2 stages plus offset 0 hold 2 layers"):
        Split.of_tensors(shapes, ParallelDims(1, 1, 2))
    with pytest.raises(UserError, match=r"axis 0 of \[24, 16\] is not divisible by model_parallel 5"):
        transform(run.source, Target(tmp_path / "out"), split_of(run.tensors, ParallelDims(1, 5, 1)))
    assert not (tmp_path / "out").exists()


def test_a_missing_or_short_file_is_named(run: Run, tmp_path: Path) -> None:
    path = run.source.path / "rank_3" / "tiny_rank_3-1_5.ckpt"
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    with pytest.raises(UserError, match="none of 1 checkpoints is whole"):
        merge(run.source, tmp_path / "whole.ckpt")
    with pytest.raises(UserError, match=rf"{path.name}: {len(content) - 50} bytes instead of {len(content)}"):
        merge(Source(run.source.path / "tiny-1_5.json"), tmp_path / "whole.ckpt")
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name}: missing"):
        merge(Source(run.source.path / "tiny-1_5.json"), tmp_path / "whole.ckpt")
    assert not (tmp_path / "whole.ckpt").exists()


def test_a_disk_that_is_too_full_is_noticed_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"whole\.ckpt: needs 0\.02 GB and 0\.00 GB are free; make room"):
        merge(run.source, tmp_path / "whole.ckpt")
    with pytest.raises(UserError, match="make room"):
        transform(run.source, Target(tmp_path / "out"), split_of(run.tensors, ParallelDims(1, 2, 1)))
    assert not list((tmp_path / "out").rglob("*.ckpt"))


def test_what_the_disk_says_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/in: cannot be made \(Not a directory\)"):
        merge(run.source, tmp_path / "file" / "in" / "whole.ckpt")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CkptWriter, "write", no_space)
    with pytest.raises(UserError, match=r"whole\.ckpt: not written: No space left on device"):
        merge(run.source, tmp_path / "whole.ckpt")
    assert not list(tmp_path.glob("*whole*"))


def test_memory_is_a_piece_of_a_tensor(tmp_path: Path) -> None:
    rows = np.arange(1 << 21, dtype=np.float32).reshape(-1, 512)  # 8 MiB
    with CkptWriter(tmp_path / "large.ckpt") as writer:
        writer.add(TensorRecord("lm_head.weight", "Float32", rows))
    pieces: list[int] = []
    checkpoint = open_checkpoint(tmp_path / "large.ckpt")
    block_file.write_blocks(
        checkpoint, tmp_path / "copy.ckpt", {"lm_head.weight": whole(rows.shape)}, lambda size: pieces.append(size)
    )
    assert sum(pieces) == rows.nbytes
    assert max(pieces) <= 1 << 20
    assert shapes_of(open_checkpoint(tmp_path / "copy.ckpt")) == {"lm_head.weight": rows.shape}
