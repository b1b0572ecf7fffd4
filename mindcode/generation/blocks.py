"""Where keys lie in a paged cache: blocks of a few tokens in one pool, and a table of every row's blocks.

    tables = BlockTables.of(batch_size=4, longest=4096, block_size=16, num_blocks=1024)
    tables.slots(2, np.arange(100))          # the places in the pool of row 2's first hundred keys

Every row owns the blocks of its longest text from the beginning, so no text ever has to make way for another one.
"""

from dataclasses import dataclass

import numpy as np

from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class BlockTables:
    """`tables` [B, M] int32: the numbers of each row's blocks in the order of its text."""

    tables: np.ndarray
    block_size: int

    @classmethod
    def of(cls, batch_size: int, longest: int, block_size: int, num_blocks: int) -> "BlockTables":
        """Share the pool out among the rows. Raises UserError when it is too small."""
        each = -(-longest // block_size)
        if batch_size * each > num_blocks:
            raise UserError(
                f"model.model_config.num_blocks: {num_blocks} blocks of {block_size} tokens, but {batch_size} rows of "
                f"{longest} tokens need {batch_size * each}; raise it, or lower predict_batch_size or the longest text"
            )
        return cls(np.arange(batch_size * each, dtype=np.int32).reshape(batch_size, each), block_size)

    def slots(self, rows: np.ndarray | int, positions: np.ndarray) -> np.ndarray:
        """Return the slot of each position, int32: number of the block · block_size + place in the block."""
        blocks = self.tables[rows, positions // self.block_size]
        return (blocks * self.block_size + positions % self.block_size).astype(np.int32)
