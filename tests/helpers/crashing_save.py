"""Kills a process at each step of saving a checkpoint in turn, and looks at what is left: a program, run by a test.

python tests/helpers/crashing_save.py FOLDER RANKS KEEP

A folder with KEEP checkpoints is made, then copied for each step of the next save: a child process ends without any
clean-up (as by kill -9) at the n-th call that opens, flushes, renames, removes or writes a part of a file, for n from
1 until the save comes to its end. After each, the newest checkpoint must be whole and hold the numbers of one save, and
the next start must be able to clean up and save. Prints the number of steps.
"""

import os
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helpers.shards import save_run
from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.opened import open_checkpoint
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.checkpoint.verify import verify
from mindcode.parallel.dims import ParallelDims

SHAPES = {f"model.layers.0.attention.{name}.weight": (4, 6) for name in ("wq", "wk", "wo")}
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")


def tensors(value: int) -> dict[str, np.ndarray]:
    return {name: np.full(shape, value, np.float32) for name, shape in SHAPES.items()}


def die_at(step: int, folder: Path) -> None:
    """End this process at the given call that touches `folder`; calls are counted from 1."""
    left = [step]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(folder)):
            count()

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            count()
            return call(*arguments)

        return wrapper

    sys.addaudithook(audit)
    os.fsync, zlib.crc32 = counted(os.fsync), counted(zlib.crc32)


def value_of(folder: Path) -> int:
    """The number that fills the newest checkpoint."""
    checkpoint = open_checkpoint(folder)
    verdict = verify(checkpoint.path, lambda _: None)
    assert verdict.problems == (), verdict.problems
    found = {float(x) for _, array in checkpoint.read({n: whole(s) for n, s in SHAPES.items()}) for x in array.flat}
    assert len(found) == 1, found
    return int(found.pop())


def crash_everywhere(base: Path, split: Split, keep: int) -> int:
    template = base / "template"
    for step in range(1, keep + 1):
        save_run(template, tensors(step), split, Position(1, step), keep)
    for step in range(1, 10_000):
        folder = base / "run"
        shutil.copytree(template, folder)
        child = os.fork()
        if child == 0:
            die_at(step, folder)
            save_run(folder, tensors(keep + 1), split, Position(1, keep + 1), keep)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 9), code
        assert value_of(folder) in ((keep, keep + 1) if code else (keep + 1,)), step
        restart(folder, split, keep)
        shutil.rmtree(folder)
        if code == 0:
            return step - 1
    raise AssertionError("the save has no end")


def restart(folder: Path, split: Split, keep: int) -> None:
    """What the next start does; nothing of the killed one stays."""
    ShardedStore(folder, "tiny", keep, 0, split.dims).remove_leftovers()
    save_run(folder, tensors(keep + 2), split, Position(1, keep + 2), keep)
    assert value_of(folder) == keep + 2
    store = ShardedStore(folder, "tiny", keep, 0, split.dims)
    listed = {file.name for file in store.folder.rglob("*.ckpt")}
    assert len(store.saved()) == keep
    assert len(listed) == keep * split.dims.world_size, sorted(listed)
    assert not [path for path in folder.rglob(".*")]


def main() -> None:
    folder, ranks, keep = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.fsync = lambda _: None  # the order of steps is what counts here
    print(crash_everywhere(folder, Split.of_tensors(SHAPES, ParallelDims(1, ranks, 1)), keep))


if __name__ == "__main__":
    main()
