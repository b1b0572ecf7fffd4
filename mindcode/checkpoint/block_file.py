"""One .ckpt file with blocks of another checkpoint's tensors, written piece by piece: memory is constant."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mindcode.checkpoint.ckpt_file import CkptWriter
from mindcode.checkpoint.manifest import Part
from mindcode.checkpoint.runs import Checkpoint
from mindcode.checkpoint.shard_file import part_of
from mindcode.parallel.plan import Placement
from mindcode.utils.errors import UserError
from mindcode.utils.progress import Progress

_MEBIBYTE = 1 << 20


class ByteProgress:
    """A progress bar in MiB that is told how many bytes are done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._done = 0

    def advance(self, size: int) -> None:
        """Count `size` bytes more."""
        before, self._done = self._done, self._done + size
        if units := _units(self._done) - _units(before):
            self._bar.advance(units)


def byte_bar(name: str, size: int) -> Progress:
    """Return the bar for work of `size` bytes."""
    return Progress(name, total=_units(size), unit="MiB")


def _units(size: int) -> int:
    return -(-size // _MEBIBYTE)


def write_blocks(
    checkpoint: Checkpoint, path: Path, placements: Mapping[str, Placement], count: Callable[[int], None]
) -> Part:
    """Write one block of each tensor, and the numbers without dimensions, to a file that appears whole.

    Calls `count` with the bytes of each piece that was written. Raises UserError for a tensor that is missing or has
    another shape, and when the disk cannot be written or read.
    """
    tensors = {name: checkpoint.tensor(name, placement) for name, placement in placements.items()}
    try:
        with CkptWriter(path) as writer:
            for number in checkpoint.state.values():
                writer.add(number)
            for name, tensor in tensors.items():
                writer.begin(name, tensor.dtype, placements[name].shape)
                for piece in tensor.rows(placements[name]):
                    writer.write(piece)
                    count(piece.nbytes)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(f"{path}: not written: {error.strerror}{where}; run the same command again") from error
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    return part_of(path, dtypes, placements, writer, checkpoint.state.values())
