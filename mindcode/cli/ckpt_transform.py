"""Checkpoints from one strategy into another: what is behind tools/ckpt_transform/transform_checkpoint.py and .sh.

Without --rank_id all files are written, as many at once as --transform_process_num says. With it, one process
writes the files of its share of the ranks, so that several machines can work on one checkpoint.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.checkpoint.reshard import Divides


def main(argv: list[str]) -> int:
    """Parse MindFormers' flags and write the files."""
    arguments = _parser().parse_args(argv)
    from mindcode.checkpoint.by_strategy import Source
    from mindcode.checkpoint.reshard import Target, transform

    path = arguments.src_checkpoint
    name = path.resolve().name if path.is_dir() else path.stem
    target = Target(arguments.dst_checkpoint_dir / name, arguments.prefix)
    rule = _rule(arguments.dst_strategy)
    ranks = _ranks(arguments, rule.dims.world_size)
    threads = arguments.transform_process_num if ranks is None else 1
    transform(Source(path, arguments.src_strategy), target, rule, threads, ranks)
    print(f"wrote {target.folder}: {rule.dims.world_size if ranks is None else len(ranks)} files")
    return 0


def _rule(path: Path | None) -> "Divides":
    from mindcode.checkpoint.reshard import Undivided
    from mindcode.checkpoint.strategy_file import read_strategy

    return Undivided() if path is None else read_strategy(path)


def _ranks(arguments: argparse.Namespace, world_size: int) -> range | None:
    """The ranks whose files this process writes; None for all."""
    stated, processes = arguments.world_size, arguments.transform_process_num
    if stated not in (None, world_size):
        raise UserError(f"world_size {stated}: dst_strategy is of {world_size} ranks; give {world_size}")
    if processes < 1 or world_size % processes:
        raise UserError(f"transform_process_num {processes}: must divide world_size {world_size}")
    if arguments.rank_id is None:
        return None
    if not 0 <= arguments.rank_id < world_size:
        raise UserError(f"rank_id {arguments.rank_id}: expected 0 to {world_size - 1}")
    share = world_size // processes
    first = arguments.rank_id // share * share
    return range(first, first + share)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transform_checkpoint.py", description="Checkpoints from one strategy into another."
    )
    parser.add_argument("--src_checkpoint", type=Path, required=True, help="folder with rank_R/*.ckpt, or one file")
    parser.add_argument("--dst_checkpoint_dir", type=Path, required=True, help="where NAME/rank_R/PREFIXR.ckpt go")
    for name, none in (("src", "complete, or a checkpoint of mindcode"), ("dst", "one complete file")):
        parser.add_argument(f"--{name}_strategy", type=_path, help=f"strategy file or folder (None: {none})")
    parser.add_argument("--prefix", default="checkpoint_", help="what the files' names begin with")
    parser.add_argument("--world_size", type=int, help="ranks of dst_strategy, to be compared with it")
    parser.add_argument("--transform_process_num", type=int, default=1, help="files at once, or shares of the ranks")
    parser.add_argument("--rank_id", type=int, help="write only the files of the share of this rank")
    parser.add_argument("--transform_by_rank", help="kept for MindFormers' command lines; files are written one by one")
    return parser


def _path(text: str) -> Path | None:
    return None if text == "None" else Path(text)
