"""One entry for all run modes, as in run_mindformer.py: the flag or the file says which verb is meant.

python run_mindcode.py --config configs/codellama/pretrain_codellama_tiny_cpu.yaml --train_dataset_dir wiki.mindrecord
"""

import argparse
import importlib

from mindcode.cli.flags import find_config, run_parser
from mindcode.cli.predict_flags import add_predict_flags
from mindcode.config.loader import read_run_mode
from mindcode.utils.lookup import lookup

_PROGRAM = "run_mindcode.py"
RUN_MODES = {
    "train": "mindcode.cli.train",
    "finetune": "mindcode.cli.train",
    "eval": "mindcode.cli.train",
    "predict": "mindcode.cli.predict",
}


def main(argv: list[str]) -> int:
    """Run the verb of the run mode with the same arguments."""
    if "-h" in argv or "--help" in argv:
        print(_help())
        return 0
    parser = argparse.ArgumentParser(prog=_PROGRAM, add_help=False)
    parser.add_argument("--config")
    parser.add_argument("--run_mode")
    known, _ = parser.parse_known_args(argv)
    mode = known.run_mode
    if mode is None and known.config is not None:
        mode = read_run_mode(find_config(known.config))
    module = importlib.import_module(lookup(RUN_MODES, mode or "train", "--run_mode"))
    return int(module.main(argv))


def _help() -> str:
    """The flags of all run modes: without a file nobody knows which one is meant."""
    parser = run_parser(_PROGRAM)
    add_predict_flags(parser.add_argument_group("with --run_mode predict"))
    return parser.format_help()
