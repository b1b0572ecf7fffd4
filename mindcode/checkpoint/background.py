"""Checkpoints that are written while training goes on (callbacks, CheckpointMonitor: async_save)."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mindcode.checkpoint.ckpt_file import TensorRecord
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.shard_file import ShardRecord, Shards, hold_in_memory
from mindcode.checkpoint.sharded import Barrier, ShardedStore
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError

WAIT_SECONDS = 1800.0
"""How long rank 0 waits for the files of the others after it has written its own."""
_POLL_SECONDS = 0.1


class BackgroundStore(ShardedStore):
    """Copies the state to host memory and writes it in a thread; an error shows at the next `save`, or at `finish`.

    Collectives belong to the training thread, so rank 0 looks for the other ranks' notes instead of meeting them.
    """

    def __init__(
        self, output_dir: Path, prefix: str, keep: int, rank: int = 0, dims: ParallelDims | None = None
    ) -> None:
        super().__init__(output_dir, prefix, keep, rank, dims)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def save(
        self, records: Sequence[ShardRecord], state: Sequence[TensorRecord], position: Position, barrier: Barrier
    ) -> Path:
        """Wait for the checkpoint before, copy this rank's state, and start writing it."""
        self.finish()
        shards = self._shards(position)
        self._begin(shards, records, barrier)
        self._pending = self._pool.submit(self._write_all, shards, hold_in_memory(records), state, position)
        return shards.manifest

    def finish(self) -> None:
        """Wait until nothing is being written; raises the UserError of a write that failed."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def _write_all(
        self, shards: Shards, records: Sequence[ShardRecord], state: Sequence[TensorRecord], position: Position
    ) -> None:
        self._write(shards, records, state, position)
        if self._rank == 0:
            self._wait_for_others(shards)
            self._commit(shards, position)

    def _wait_for_others(self, shards: Shards) -> None:
        limit = time.monotonic() + WAIT_SECONDS
        due = set(range(self.dims.world_size))
        while due := {rank for rank in due if not shards.part(rank).exists()}:
            if time.monotonic() > limit or not threading.main_thread().is_alive():
                raise UserError(
                    f"{shards.manifest}: not written: no file of rank {min(due)} ({len(due)} of "
                    f"{self.dims.world_size} missing); the checkpoint before it is intact"
                )
            time.sleep(_POLL_SECONDS)
