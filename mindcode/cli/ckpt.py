"""mindcode ckpt: look at checkpoints, check them, split them otherwise, make one file of them.

mindcode ckpt inspect output/run
mindcode ckpt verify output/run
mindcode ckpt merge output/run whole.ckpt
mindcode ckpt transform output/run output/split --data_parallel 2 --model_parallel 2
mindcode ckpt strategy output/run output/strategy
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mindcode.cli.numbers import whole_number
from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.checkpoint.by_strategy import Source
    from mindcode.checkpoint.reshard import Divides

MOST_THREADS = 8


class Action(NamedTuple):
    """What comes after `mindcode ckpt`."""

    run: Callable[[argparse.Namespace], int]
    flags: Callable[[argparse.ArgumentParser], None]
    summary: str


def main(argv: list[str]) -> int:
    """Do one of the actions; exit code 1 when `verify` finds damage."""
    arguments = _parser().parse_args(argv)
    # a terminated process takes its temporary files with it, as an interrupted one does
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return ACTIONS[arguments.action].run(arguments)


def transform(arguments: argparse.Namespace) -> int:
    """Write a checkpoint in another split."""
    from mindcode.checkpoint.reshard import Target
    from mindcode.checkpoint.reshard import transform as reshard

    source = _source(arguments)
    target = Target(arguments.destination, arguments.prefix)
    print(f"wrote {reshard(source, target, _rule(arguments, source), arguments.threads)}")
    return 0


def _rule(arguments: argparse.Namespace, source: "Source") -> "Divides":
    from mindcode.checkpoint.placements import Split
    from mindcode.checkpoint.reshard import shapes_of
    from mindcode.checkpoint.strategy_file import read_strategy
    from mindcode.parallel.dims import ParallelDims

    dims = ParallelDims(arguments.data_parallel, arguments.model_parallel, arguments.pipeline_stage)
    if arguments.dst_strategy is None:
        above = arguments.parallel_optimizer_threshold * 1024 if arguments.enable_parallel_optimizer else None
        return Split.of_tensors(shapes_of(source.open()), dims, arguments.offset, above)
    if dims.world_size > 1:
        raise UserError("--dst_strategy: says the split itself; leave the degrees out")
    return read_strategy(arguments.dst_strategy)


def merge(arguments: argparse.Namespace) -> int:
    """Write one complete file."""
    from mindcode.checkpoint.reshard import merge as join

    size = join(_source(arguments), arguments.destination)
    print(f"wrote {arguments.destination}: {size:,} bytes")
    return 0


def inspect(arguments: argparse.Namespace) -> int:
    """Print what there is."""
    from mindcode.checkpoint.describe import describe

    for line in describe(_source(arguments), arguments.name):
        print(line)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Print one line for each checkpoint that is whole, and one for each thing that is wrong."""
    from mindcode.checkpoint.block_file import ByteProgress, byte_bar
    from mindcode.checkpoint.verify import size_of, targets
    from mindcode.checkpoint.verify import verify as read_all

    paths, damaged = targets(arguments.source), 0
    with byte_bar("verify", sum(map(size_of, paths))) as bar:
        verdicts = [read_all(path, ByteProgress(bar).advance) for path in paths]
    for verdict in verdicts:
        damaged += bool(verdict.problems)
        for problem in verdict.problems:
            print(f"damaged: {problem}")
        if not verdict.problems:
            print(f"whole: {verdict.path}, {verdict.bytes:,} bytes")
    if damaged:
        print(f"mindcode: error: {damaged} of {len(verdicts)} checkpoints damaged", file=sys.stderr)
    return 1 if damaged else 0


def strategy(arguments: argparse.Namespace) -> int:
    """Write MindSpore's strategy files."""
    from mindcode.checkpoint.manifest import is_manifest, read_manifest
    from mindcode.checkpoint.strategy_file import write_strategies

    path = arguments.source if is_manifest(arguments.source) else _source(arguments).open().path
    manifest = read_manifest(path)
    blocks = map(manifest.placements, range(len(manifest.files)))
    files = write_strategies(manifest.dims, blocks, arguments.destination)
    print(f"wrote {len(files)} files to {arguments.destination}")
    return 0


def _source(arguments: argparse.Namespace) -> "Source":
    from mindcode.checkpoint.by_strategy import Source

    return Source(arguments.source, arguments.src_strategy, arguments.weights_only)


def _of_source(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(src_strategy=None, weights_only=False)
    parser.add_argument("source", type=Path, help="an output folder, a manifest, one rank's file, or a complete file")


def _of_ranks(parser: argparse.ArgumentParser) -> None:
    _of_source(parser)
    parser.add_argument("--src_strategy", type=Path, help="strategy file or folder, for files without a manifest")


def _of_inspect(parser: argparse.ArgumentParser) -> None:
    _of_ranks(parser)
    parser.add_argument("--name", default="", help="only tensors with this in their name")


def _of_strategy(parser: argparse.ArgumentParser) -> None:
    _of_source(parser)
    parser.add_argument("destination", type=Path, help="folder for ckpt_strategy_rank_R.ckpt")


def _of_merge(parser: argparse.ArgumentParser) -> None:
    _of_ranks(parser)
    parser.add_argument("destination", type=_ckpt_file, help="the .ckpt file to write")
    parser.add_argument("--weights_only", action="store_true", help="leave the optimizer's state behind")


def _of_transform(parser: argparse.ArgumentParser) -> None:
    _of_ranks(parser)
    parser.add_argument("destination", type=Path, help="folder for rank_R/PREFIXR.ckpt and the manifest")
    parser.add_argument("--weights_only", action="store_true", help="leave the optimizer's state behind")
    for degree in ("data_parallel", "model_parallel", "pipeline_stage"):
        parser.add_argument(f"--{degree}", type=whole_number, default=1, help="degree of the new split (default: 1)")
    parser.add_argument("--offset", type=_offset, default=0, help="layers more or fewer for each stage, as 1,0,0,-1")
    parser.add_argument(
        "--enable_parallel_optimizer", action="store_true", help="cut the optimizer's state by replicas"
    )
    parser.add_argument(
        "--parallel_optimizer_threshold", type=int, default=64, help="smallest part, in KB, whose state is cut"
    )
    parser.add_argument("--dst_strategy", type=Path, help="strategy file or folder with the new split, for degrees")
    parser.add_argument("--prefix", default="checkpoint_", help="what the files' names begin with (checkpoint_)")
    most = min(MOST_THREADS, os.cpu_count() or 1)
    parser.add_argument("--threads", type=whole_number, default=most, help=f"files written at once (default: {most})")


ACTIONS = {
    "inspect": Action(inspect, _of_inspect, "list the checkpoints of a folder, and what the newest one holds"),
    "verify": Action(verify, _of_source, "read every byte and compare it with the manifest's sizes and checksums"),
    "merge": Action(merge, _of_merge, "one complete .ckpt file of all ranks' files, in constant memory"),
    "transform": Action(transform, _of_transform, "the same tensors for other degrees of parallelism"),
    "strategy": Action(strategy, _of_strategy, "MindSpore's strategy files of a checkpoint"),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mindcode ckpt", description="Checkpoints of one or many processes.", allow_abbrev=False
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        action.flags(actions.add_parser(name, help=action.summary, description=action.summary, allow_abbrev=False))
    return parser


def _offset(text: str) -> int | tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.strip("[]").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected whole numbers such as 1,0,0,-1") from None
    return numbers if len(numbers) > 1 else numbers[0]


def _ckpt_file(text: str) -> Path:
    if not text.endswith(".ckpt"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected the name of a .ckpt file")
    return Path(text)
