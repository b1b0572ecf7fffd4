"""Writing in the background: the state of the moment, one save at a time, errors that show, ranks that wait."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.shards import STATE, no_barrier, whole_records

from mindcode.checkpoint import background
from mindcode.checkpoint.background import BackgroundStore
from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError

SHAPE = (1000,)


def value_of(store: ShardedStore) -> float:
    newest = store.newest()
    assert newest is not None
    ((_, numbers),) = open_checkpoint(newest).read({"weight": whole(SHAPE)})
    return float(numbers.mean())


def records(value: float) -> list[ShardRecord]:
    return whole_records({"weight": np.full(SHAPE, value, np.float32)})


def test_what_is_saved_is_the_state_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on, and changes the weights, while the thread has not begun to write."""
    store, begin = BackgroundStore(tmp_path, "tiny", 2), threading.Event()
    write = ShardedStore._write

    def late(*arguments: object) -> None:
        begin.wait()
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ShardedStore, "_write", late)
    weight = np.full(SHAPE, 1, np.float32)
    (record,) = records(1)
    store.save([replace(record, read=lambda: weight)], STATE, Position(1, 1), no_barrier)
    weight += 1
    assert store.newest() is None
    begin.set()
    store.finish()
    assert value_of(store) == 1


def test_a_save_waits_for_the_one_before(tmp_path: Path) -> None:
    store = BackgroundStore(tmp_path, "tiny", 2)
    for step in (1, 2, 3):
        store.save(records(step), STATE, Position(1, step), no_barrier)
    store.finish()
    store.finish()
    assert [saved.step for saved in store.saved()] == [2, 3]
    assert value_of(store) == 3


def test_an_error_shows_at_the_next_save_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BackgroundStore(tmp_path, "tiny", 2)
    store.save(records(1), STATE, Position(1, 1), no_barrier)
    store.finish()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mindcode.checkpoint.ckpt_file.CkptWriter.write", no_space)
        path = store.save(records(2), STATE, Position(1, 2), no_barrier)
        with pytest.raises(UserError, match=r"No space left on device.*the checkpoint before it is intact"):
            store.finish()
    assert not path.exists()
    assert value_of(store) == 1
    store.save(records(3), STATE, Position(1, 3), no_barrier)
    store.finish()
    assert value_of(store) == 3


def test_rank_0_waits_for_the_others(tmp_path: Path) -> None:
    barrier = threading.Barrier(2)
    stores = [BackgroundStore(tmp_path, "tiny", 1, rank, ParallelDims(data_parallel=2)) for rank in range(2)]

    def train(rank: int) -> None:
        for step in (1, 2):
            stores[rank].save(records(step), STATE, Position(1, step), lambda: barrier.wait() and None)
        stores[rank].finish()

    threads = [threading.Thread(target=train, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value_of(stores[1]) == 2
    assert sorted(path.name for path in stores[0].folder.rglob("*.ckpt")) == [
        "tiny_rank_0-1_2.ckpt",
        "tiny_rank_1-1_2.ckpt",
    ]
    assert not list(stores[0].folder.rglob(".*"))


def test_a_rank_that_never_comes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "WAIT_SECONDS", 0.3)
    store = BackgroundStore(tmp_path, "tiny", 1, 0, ParallelDims(data_parallel=4))
    path = store.save(records(1), STATE, Position(1, 1), no_barrier)
    with pytest.raises(UserError, match=r"not written: no file of rank 1 \(3 of 4 missing\)"):
        store.finish()
    assert not path.exists()
