"""mindcode dryrun: compile a run for Ascend without an NPU, and say what every NPU would hold and whether it fits.

mindcode dryrun --config configs/codellama/pretrain_codellama_34b.yaml
mindcode dryrun --config X.yaml --parallel_config.model_parallel 4 --stage 0 --layers 4 --json dryrun.json
"""

import argparse
from pathlib import Path

from mindcode.cli.flags import parse_run_flags
from mindcode.config.loader import load_config
from mindcode.utils.errors import UserError


def main(argv: list[str]) -> int:
    """Compile, print the table, and return 1 when something failed to compile or to fit together."""
    flags = parse_run_flags(argv, "mindcode dryrun", _add_flags)
    config = load_config(flags.config, flags.overrides)

    from mindcode.dryrun import dry_run
    from mindcode.parallel.dims import ParallelDims

    stages = _stages(flags.rest.stage, ParallelDims.of(config).pipeline_stage)
    request = dry_run.Request(flags.config, flags.overrides, stages, flags.rest.layers)
    found = dry_run.dry_run(config, request)
    for stage in found:
        for each in stage.compiled:
            print(stage.number, stage.rank, dict(each.layers), each.answer)
        if stage.failure is None:
            print("peak", stage.peak_bytes / 2**20, dict(stage.layers))
    return 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", default="all", metavar="N", help="which pipeline stage, from 0 (default: all)")
    parser.add_argument(
        "--layers",
        type=_layers,
        metavar="N",
        help="compile a network of N layers, or full; without it, two small ones, for figures of the full one",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was found")


def _layers(text: str) -> str:
    if text != "full" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of layers or full")
    return text


def _stages(text: str, count: int) -> tuple[int, ...]:
    if text == "all":
        return tuple(range(count))
    if not text.isdecimal() or int(text) >= count:
        raise UserError(f"--stage {text}: expected all or a number below pipeline_stage {count}")
    return (int(text),)
