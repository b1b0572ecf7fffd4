"""mindcode plan: what a run will need of every NPU, what it sends, how fast it may be; without MindSpore or an NPU.

mindcode plan --config configs/codellama/finetune_codellama_34b_16p.yaml
mindcode plan --config configs/codellama/finetune_codellama_34b_16p.yaml --parallel_config.model_parallel 4 --json
"""

import argparse
import json

from mindcode.cli.flags import parse_run_flags
from mindcode.config.loader import load_config


def main(argv: list[str]) -> int:
    """Print the plan; exit code 0 whether it fits or not, unless --strict is given."""
    from mindcode.planner.summary import summarize
    from mindcode.planner.tables import summary_text

    flags = parse_run_flags(argv, "mindcode plan", _add_flags)
    summary = summarize(load_config(flags.config, flags.overrides))
    print(json.dumps(summary.to_dict(), indent=1) if flags.rest.json else summary_text(summary))
    return 1 if flags.rest.strict and not summary.fits else 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--strict", action="store_true", help="exit with code 1 if a device's memory is too small")
