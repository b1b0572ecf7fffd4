"""Where a run starts, for every combination of flags and of what the output folder holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.shards import STATE, no_barrier, random_tensors, save_run, whole_records

from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.schema import OptimizerConfig, ParallelConfig, RunConfig
from mindcode.parallel.dims import ParallelDims
from mindcode.training import manifest
from mindcode.training.resume import checkpoint_to_continue, open_in_split, starting_weights, weights_file
from mindcode.utils.errors import UserError


class Folder:
    """An output folder with two checkpoints, as a run with `config` leaves it."""

    def __init__(self, path: Path) -> None:
        self.config = RunConfig(output_dir=str(path))
        self.store = ShardedStore(path, "tiny", 5)
        for step in (1, 2):
            self.store.save(whole_records({"w": np.ones(1, np.float32)}), STATE, Position(1, step), no_barrier)
        self.last = self.store.folder / "tiny-1_2.json"
        manifest.write(path, manifest.describe(self.config, [], None))

    def start(self, config: RunConfig) -> Path | None:
        return checkpoint_to_continue(config, self.store, manifest.describe(config, [], None))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "run")


def test_the_same_command_continues_by_itself(folder: Folder) -> None:
    assert folder.start(folder.config) == folder.last
    assert folder.start(replace(folder.config, resume_training=True)) == folder.last


def test_another_run_is_not_mistaken_for_this_one(folder: Folder) -> None:
    changed = replace(folder.config, optimizer=OptimizerConfig(beta1=0.8))
    with pytest.raises(UserError, match=r"another run \(optimizer.beta1: 0.9, now 0.8\).*--resume_training True"):
        folder.start(changed)
    assert folder.start(replace(changed, resume_training=True)) == folder.last


def test_other_data_or_weights_make_another_run(folder: Folder, tmp_path: Path) -> None:
    other = tmp_path / "x"
    other.write_bytes(b"numbers")
    for data, weights, what in (([other], None, "train_dataset: other rows"), ([], other, "load_checkpoint: other w")):
        with pytest.raises(UserError, match=f"another run \\({what}"):
            checkpoint_to_continue(folder.config, folder.store, manifest.describe(folder.config, data, weights))


def test_the_weights_it_started_from_need_not_be_named_again(folder: Folder, tmp_path: Path) -> None:
    weights = tmp_path / "x.ckpt"
    weights.write_bytes(b"numbers")
    manifest.write(tmp_path / "run", manifest.describe(folder.config, [], weights))
    assert folder.start(folder.config) == folder.last
    moved = weights.rename(tmp_path / "y.ckpt")
    described = manifest.describe(folder.config, [], moved)
    assert checkpoint_to_continue(folder.config, folder.store, described) == folder.last


def test_a_name_picks_a_checkpoint(folder: Folder) -> None:
    earlier = folder.store.rank_folder / "tiny_rank_0-1_1.ckpt"
    assert folder.start(replace(folder.config, resume_training=earlier.name)) == earlier
    with pytest.raises(UserError, match=r"no such file; did you mean tiny_rank_0-1_1\.ckpt"):
        folder.start(replace(folder.config, resume_training="tiny_rank_0-1_1.cpkt"))


def test_resuming_without_a_checkpoint_is_a_start(tmp_path: Path) -> None:
    config = RunConfig(output_dir=str(tmp_path), resume_training=True)
    store = ShardedStore(tmp_path, "tiny", 1)
    assert checkpoint_to_continue(config, store, manifest.describe(config, [], None)) is None


def test_another_folder_can_be_continued_here(folder: Folder, tmp_path: Path) -> None:
    given = str(folder.store.folder)
    config = RunConfig(output_dir=str(tmp_path / "new"), load_checkpoint=given, resume_training=True)
    store = ShardedStore(tmp_path / "new", "tiny", 1)
    assert checkpoint_to_continue(config, store, manifest.describe(config, [], None)) == folder.last
    assert starting_weights(config) is None
    assert starting_weights(replace(config, resume_training=False)) == folder.last


def test_the_weights_to_start_from(tmp_path: Path) -> None:
    assert weights_file(RunConfig()) is None
    assert weights_file(RunConfig(load_checkpoint="x.ckpt")) == Path("x.ckpt")
    (tmp_path / "rank_0").mkdir()
    only = tmp_path / "rank_0" / "a.ckpt"
    only.touch()
    assert weights_file(RunConfig(load_checkpoint=str(tmp_path))) == only
    only.with_name("b.ckpt").touch()
    with pytest.raises(UserError, match=r"holds 2 \.ckpt files \(a\.ckpt, b\.ckpt\)"):
        weights_file(RunConfig(load_checkpoint=str(tmp_path)))


def test_the_manifest_says_what_ran(tmp_path: Path) -> None:
    data = tmp_path / "x.mindrecord"
    data.write_bytes(bytes(300_000))
    manifest.write(tmp_path, manifest.describe(RunConfig(seed=3), [data], None))
    read = json.loads((tmp_path / "manifest.json").read_text())
    assert (read["seed"], read["device"], read["dtype"]) == (3, "Ascend", "float16")
    assert set(read["versions"]) == {"python", "mindcode", "mindspore", "numpy"}
    before = manifest.fingerprint(data)
    assert read["data"] == {str(data): before}
    data.write_bytes(bytes(150_000) + b"1" + bytes(149_999))
    assert manifest.fingerprint(data) != before


def test_another_split_is_read_only_when_that_is_asked_for(tmp_path: Path) -> None:
    tensors = random_tensors()
    split = Split.of_tensors({name: tensor.shape for name, tensor in tensors.items()}, ParallelDims(1, 2, 2))
    path = save_run(tmp_path, tensors, split, Position(1, 5))
    same = RunConfig(use_parallel=True, parallel_config=ParallelConfig(model_parallel=2, pipeline_stage=2))
    other = replace(same, parallel_config=ParallelConfig(data_parallel=2))
    assert open_in_split(path, same).dims == ParallelDims(1, 2, 2)
    for config in (other, RunConfig()):
        with pytest.raises(UserError, match=r"written with data_parallel 1, model_parallel 2.*--auto_trans_ckpt True"):
            open_in_split(path, config)
        opened = open_in_split(path, replace(config, auto_trans_ckpt=True))
        assert opened.tensors.keys() == tensors.keys()
