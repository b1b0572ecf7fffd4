"""mindcode dryrun: compile a run for Ascend without an NPU, and say what every NPU would hold and whether it fits.

mindcode dryrun --config configs/codellama/pretrain_codellama_34b.yaml
mindcode dryrun --config X.yaml --parallel_config.model_parallel 4 --stage 0 --layers 4 --json dryrun.json
"""

import argparse
import json
from pathlib import Path

from mindcode.cli.flags import parse_run_flags
from mindcode.config.loader import load_config
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError

NOT_OURS = "The graph is MindFormers': mindcode's plan is not checked against it, nor its communication counted."


def main(argv: list[str]) -> int:
    """Compile, print what was found, and return 1 when a stage does not compile or is not what the plan says."""
    flags = parse_run_flags(argv, "mindcode dryrun", _add_flags)
    config = load_config(flags.config, flags.overrides)

    from mindcode.dryrun import table
    from mindcode.dryrun.checks import checks_of, pairing
    from mindcode.dryrun.dry_run import Request, dry_run
    from mindcode.parallel.dims import ParallelDims

    numbers = _stages(flags.rest.stage, ParallelDims.of(config).pipeline_stage)
    stages, failures = dry_run(config, Request(flags.config, flags.overrides, numbers, flags.rest.layers))
    ours = config.engine == "mindcode"
    checks = {stage.number: checks_of(stage) if ours else [] for stage in stages}
    between = pairing(stages) if ours else []
    lines = table.heading(config, stages)
    if stages:
        lines += ["", *table.of_stages(stages), *table.LEFT_OUT, *([] if ours else [NOT_OURS])]
    for stage in stages if ours else ():
        lines += ["", *(line for graph in stage.compiled[0].graphs for line in table.of_traffic(stage, graph))]
        lines += [f"stage {stage.number}, checks:", *table.of_checks(checks[stage.number])]
    lines += ["", *table.of_checks(between)] if between else []
    for failed in failures:
        lines += ["", *table.of_failure(failed)]
    print("\n".join(lines))
    if flags.rest.json:
        with atomic_open(flags.rest.json) as stream:
            json.dump(
                [table.plain(stage, checks[stage.number]) for stage in stages]
                + list(map(table.plain_failure, failures)),
                stream,
                indent=1,
            )
    every = [check for group in (*checks.values(), between) for check in group]
    return 0 if not failures and all(check.ok for check in every) else 1


def _add_flags(group: argparse._ActionsContainer) -> None:
    group.add_argument("--stage", default="all", metavar="N", help="which pipeline stage, from 0 (default: all)")
    group.add_argument(
        "--layers",
        type=_layers,
        metavar="N",
        help="compile a network of N layers, or full; without it two small ones, for figures of the full one",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was found")


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
