"""mindcode plan: what a run will need of every NPU, what it sends, how fast it may be; without MindSpore or an NPU.

mindcode plan --config configs/codellama/finetune_codellama_34b_16p.yaml --svg plan.svg
mindcode plan --config configs/codellama/finetune_codellama_34b_16p.yaml --parallel_config.model_parallel 4 --json
mindcode plan --config configs/codellama/finetune_codellama_34b_32p.yaml --search --devices 32
"""

import argparse
import json
from pathlib import Path

from mindcode.cli.flags import parse_run_flags
from mindcode.cli.numbers import whole_number
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import processes_needed
from mindcode.utils.errors import UserError

SHOWN = 20
"""Lines of a search; JSON has all."""


def main(argv: list[str]) -> int:
    """Print the plan, or the best splits; exit code 0 whether something fits or not, unless --strict is given."""
    flags = parse_run_flags(argv, "mindcode plan", _add_flags)
    config, options = load_config(flags.config, flags.overrides), flags.rest
    fits = _search(config, options) if options.search else _plan(config, options)
    return 1 if options.strict and not fits else 0


def _plan(config: RunConfig, options: argparse.Namespace) -> bool:
    from mindcode.planner.drawing import draw
    from mindcode.planner.summary import summarize
    from mindcode.planner.tables import summary_text
    from mindcode.utils.atomic import atomic_open

    if options.devices is not None:
        raise UserError("--devices: needs --search; a plan has the devices of parallel_config")
    summary = summarize(config)
    if options.svg:
        with atomic_open(options.svg) as stream:
            stream.write(draw(summary))
    print(json.dumps(summary.to_dict(), indent=1) if options.json else summary_text(summary))
    return summary.fits


def _search(config: RunConfig, options: argparse.Namespace) -> bool:
    from mindcode.planner.search import search, why_nothing
    from mindcode.planner.tables import search_text

    if options.svg:
        raise UserError("--svg: draws one plan, not a search; leave out --search")
    devices = options.devices or processes_needed(config)
    found = search(config, devices)
    if options.json:
        print(json.dumps([one.to_dict() for one in found], indent=1))
    else:
        print(search_text(found, devices, SHOWN) if found else why_nothing(config, devices))
    return bool(found)


def _add_flags(group: argparse._ActionsContainer) -> None:
    group.add_argument("--json", action="store_true", help="print everything as JSON")
    group.add_argument("--svg", type=Path, metavar="FILE", help="draw the pipeline's schedule and the ranks")
    group.add_argument("--search", action="store_true", help="list the splits that fit, the fastest first")
    group.add_argument("--devices", type=whole_number, metavar="N", help="NPUs to search for (default: the file's)")
    group.add_argument("--strict", action="store_true", help="exit with code 1 if nothing fits")
