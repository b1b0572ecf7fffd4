"""Checkpoints are whole or absent, the newest whole one is found, and the last good one is never deleted."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import mindspore
import numpy as np
import pytest
from helpers.checkpoints import load_float32
from helpers.shards import STATE, no_barrier, whole_records

from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError


def records(value: float) -> list[ShardRecord]:
    return whole_records({"weight": np.full(1000, value, np.float32)})


def save(store: ShardedStore, value: float, position: Position) -> Path:
    return store.save(records(value), STATE, position, no_barrier)


def filled(folder: Path, keep: int, steps: int) -> ShardedStore:
    store = ShardedStore(folder, "tiny", keep)
    for step in range(1, steps + 1):
        save(store, step, Position(1, step))
    return store


def names(store: ShardedStore) -> list[str]:
    return sorted(path.name for path in store.rank_folder.glob("*.ckpt"))


def test_the_newest_are_kept_under_mindformers_names(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=2, steps=4)
    assert store.rank_folder == tmp_path / "checkpoint" / "rank_0"
    assert names(store) == ["tiny_rank_0-1_3.ckpt", "tiny_rank_0-1_4.ckpt"]
    meta = json.loads((store.rank_folder / "meta.json").read_text())
    assert (meta["last_epoch"], meta["last_step"], meta["last_ckpt_file"]) == (1, 4, "tiny_rank_0-1_4.ckpt")
    assert store.newest() == store.folder / "tiny-1_4.json"
    assert sorted(path.name for path in store.folder.glob("*.json")) == ["tiny-1_3.json", "tiny-1_4.json"]


def test_mindspore_loads_what_is_written(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=1, steps=1)
    loaded = mindspore.load_checkpoint(str(store.rank_folder / "tiny_rank_0-1_1.ckpt"))
    assert loaded["weight"].shape == (1000,)
    assert int(loaded["global_step"].asnumpy()) == 7


def test_a_truncated_newest_file_gives_way_to_the_one_before(tmp_path: Path, messages: list[str]) -> None:
    store = filled(tmp_path, keep=3, steps=3)
    newest = store.rank_folder / "tiny_rank_0-1_3.ckpt"
    newest.write_bytes(newest.read_bytes()[:-100])
    assert store.newest() == store.folder / "tiny-1_2.json"
    assert "tiny_rank_0-1_3.ckpt: 4011 bytes instead of 4111" in messages[0]
    assert "taking the checkpoint before it" in messages[0]


def test_a_lost_meta_file_is_no_loss(tmp_path: Path) -> None:
    store = ShardedStore(tmp_path, "tiny", keep=9)
    for epoch, step in ((1, 9), (1, 10), (2, 1)):
        save(store, step, Position(epoch, step))
    (store.rank_folder / "meta.json").write_text("{")
    assert store.newest() == store.folder / "tiny-2_1.json"
    assert [saved.step for saved in store.saved()] == [9, 10, 1]


def test_damage_everywhere_is_an_error_and_nothing_at_all_is_not(tmp_path: Path) -> None:
    assert ShardedStore(tmp_path / "new", "tiny", 1).newest() is None
    store = filled(tmp_path, keep=2, steps=2)
    for path in store.rank_folder.glob("*.ckpt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of 2 checkpoints is whole"):
        store.newest()


def test_a_failing_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=1, steps=1)

    def no_space() -> np.ndarray:
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device.*the checkpoint before it is intact"):
        store.save([replace(records(2)[0], read=no_space)], STATE, Position(1, 2), no_barrier)
    assert sorted(path.name for path in store.rank_folder.iterdir()) == ["meta.json", "tiny_rank_0-1_1.ckpt"]
    assert store.newest() == store.folder / "tiny-1_1.json"
    assert load_float32(store.rank_folder / "tiny_rank_0-1_1.ckpt")["weight"][0] == 1


def test_a_full_disk_is_noticed_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    store = ShardedStore(tmp_path, "tiny", 1)
    with pytest.raises(UserError, match=r"needs 0\.02 GB and 0\.00 GB are free"):
        save(store, 1, Position(1, 1))
    assert names(store) == []


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=1, steps=1)
    left = store.rank_folder / ".tiny_rank_0-1_2.ckpt.4711.tmp"
    left.write_bytes(b"half")
    other = store.rank_folder / ".other_rank_0-1_2.ckpt.4711.tmp"
    other.write_bytes(b"half")
    store.remove_leftovers()
    assert not left.exists()
    assert other.exists()


def test_a_finished_file_without_a_manifest_is_removed_when_a_run_starts_again(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=3, steps=3)
    (store.folder / "tiny-1_3.json").unlink()
    foreign = [store.rank_folder / f"{prefix}_rank_0-1_9.ckpt" for prefix in ("theirs", "tiny")]
    for path in foreign:
        path.write_bytes(b"of another program")
    store.remove_leftovers()
    assert names(store) == [foreign[0].name, "tiny_rank_0-1_1.ckpt", "tiny_rank_0-1_2.ckpt", foreign[1].name]


def test_without_any_manifest_nothing_is_removed(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=3, steps=1)
    (store.folder / "tiny-1_1.json").unlink()
    store.remove_leftovers()
    assert names(store) == ["tiny_rank_0-1_1.ckpt"]


def test_saving_the_same_position_again_replaces_it(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=2, steps=2)
    save(store, 5, Position(1, 2))
    assert [saved.name for saved in store.saved()] == ["tiny-1_1.json", "tiny-1_2.json"]
    assert names(store) == ["tiny_rank_0-1_1.ckpt", "tiny_rank_0-1_2.ckpt"]
    assert load_float32(store.rank_folder / "tiny_rank_0-1_2.ckpt")["weight"][0] == 5


def test_the_newest_is_the_last_that_was_written(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=9, steps=5)
    save(store, 9, Position(1, 3))
    assert store.newest() == store.folder / "tiny-1_3.json"


def test_the_weights_alone_have_a_place_of_their_own(tmp_path: Path) -> None:
    store = ShardedStore(tmp_path, "tiny", 1)
    path = store.save_network(records(3), Position(1, 1), no_barrier)
    assert path == tmp_path / "checkpoint_network" / "rank_0" / "tiny_rank_0-network.ckpt"
    assert load_float32(path)["weight"][0] == 3


def test_damaged_checkpoints_do_not_count_among_those_that_are_kept(tmp_path: Path) -> None:
    store = filled(tmp_path, keep=2, steps=3)
    damaged = store.rank_folder / "tiny_rank_0-1_3.ckpt"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    save(store, 4, Position(1, 4))
    assert [saved.step for saved in store.saved()] == [2, 3, 4]
    save(store, 5, Position(1, 5))
    assert [saved.step for saved in store.saved()] == [4, 5]
    assert names(store) == ["tiny_rank_0-1_4.ckpt", "tiny_rank_0-1_5.ckpt"]


@pytest.mark.parametrize(("ranks", "keep"), [(1, 1), (2, 2)])
def test_a_kill_at_any_step_of_a_save_leaves_a_whole_checkpoint(tmp_path: Path, ranks: int, keep: int) -> None:
    """In a process that does nothing else, since it forks."""
    program = Path(__file__).parents[2] / "helpers" / "crashing_save.py"
    command = [sys.executable, str(program), str(tmp_path), str(ranks), str(keep)]
    environment = os.environ | {"PYTHONPATH": str(program.parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20 * ranks


def test_the_weights_of_more_ranks_do_not_stay_beside_those_of_fewer(tmp_path: Path) -> None:
    for ranks in (2, 1):
        for rank in reversed(range(ranks)):
            store = ShardedStore(tmp_path, "tiny", 1, rank, ParallelDims(data_parallel=ranks))
            store.save_network(records(ranks), Position(1, 1), no_barrier)
    found = sorted(path.name for path in (tmp_path / "checkpoint_network").rglob("*.*"))
    assert found == ["tiny-network.json", "tiny_rank_0-network.ckpt"]
