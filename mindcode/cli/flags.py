"""The flags of run_mindformer.py, shared by the verbs that read a configuration.

config, overrides, rest = parse_run_flags(["--config", "x.yaml", "--optimizer.learning_rate", "2e-5"], "mindcode train")

A flag is a row of FLAGS: its name, how its text is checked, and the keys of the configuration that it sets. Any
other `--section.key value` sets that key; the loader reads the text by the type of the key.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import nearest

_DOTTED = re.compile(r"--([A-Za-z_]\w*(?:\.\w+)+)(?:=(.*))?", re.DOTALL)


class Flag(NamedTuple):
    """One flag that takes one value; `keys` are set to its text, none means that it has no effect here."""

    name: str
    keys: tuple[str, ...]
    help: str
    check: Callable[[str], str] = str


class RunFlags(NamedTuple):
    """What a command line says: the file, the overrides (dotted key, text) in order, and all other flags."""

    config: Path
    overrides: tuple[tuple[str, str], ...]
    rest: argparse.Namespace


def _boolean(text: str) -> str:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected true or false")
    return text.lower()


def _integer(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number") from None


def unescaped(text: str) -> str:
    """Line breaks arrive from the shell as a backslash and an n."""
    return text.replace("\\n", "\n")


FLAGS = (
    Flag("mode", ("context.mode",), "0, graph mode", _integer),
    Flag("device_id", ("context.device_id",), "which NPU, without msrun", _integer),
    Flag("device_target", ("context.device_target",), "Ascend or CPU"),
    Flag("run_mode", ("run_mode",), "train, finetune, eval or predict"),
    Flag("engine", ("engine",), "who trains: mindformers, or else mindcode"),
    Flag("do_eval", ("do_eval",), "measure the loss on eval_dataset during training", _boolean),
    Flag("eval_step_interval", ("eval_step_interval",), "steps between two measurements", _integer),
    Flag("eval_epoch_interval", ("eval_epoch_interval",), "epochs between two measurements", _integer),
    Flag("train_dataset_dir", ("train_dataset.data_loader.dataset_dir",), "MindRecord file or folder to train on"),
    Flag("eval_dataset_dir", ("eval_dataset.data_loader.dataset_dir",), "MindRecord file or folder to evaluate on"),
    Flag("predict_batch_size", ("predict_batch_size",), "prompts decoded at once", _integer),
    Flag("load_checkpoint", ("load_checkpoint",), "a .ckpt file or a checkpoint folder"),
    Flag("auto_trans_ckpt", ("auto_trans_ckpt",), "reshard the checkpoint while loading", _boolean),
    Flag("only_save_strategy", ("only_save_strategy",), "compile, write the strategy, stop", _boolean),
    Flag("resume_training", ("resume_training",), "true, or the name of the checkpoint to continue from"),
    Flag("seed", ("seed",), "seed of weights, row order and sampling", _integer),
    Flag("use_parallel", ("use_parallel",), "run under msrun with the degrees of parallel_config", _boolean),
    Flag("epochs", ("runner_config.epochs",), "passes over the training rows", _integer),
    Flag("batch_size", ("runner_config.batch_size",), "rows in one micro-batch", _integer),
    Flag(
        "gradient_accumulation_steps",
        ("runner_config.gradient_accumulation_steps",),
        "micro-batches in one optimizer step",
        _integer,
    ),
    Flag("sink_mode", ("runner_config.sink_mode",), "kept for MindFormers' command lines", _boolean),
    Flag("num_samples", ("train_dataset.num_samples", "eval_dataset.num_samples"), "use only so many rows", _integer),
    Flag("output_dir", ("output_dir",), "folder of everything the run writes"),
    Flag("do_sample", ("model.model_config.do_sample",), "sample instead of taking the most likely token", _boolean),
    Flag("src_strategy_path_or_dir", (), "no effect: a checkpoint describes its own split"),
    Flag("transform_process_num", (), "no effect: resharding reads slices", _integer),
    Flag("strategy_load_checkpoint", (), "no effect: a checkpoint describes its own split"),
    Flag("profile", (), "no effect", _boolean),
    Flag("register_path", (), "no effect: there are no plug-ins"),
    Flag("remote_save_url", (), "no effect: files stay in output_dir"),
    Flag("adapter_id", (), "no effect: there are no adapters"),
)


METAVARS: dict[Callable[[str], str], str] = {str: "TEXT", _boolean: "BOOL", _integer: "N"}


def no_more_flags(group: argparse._ActionsContainer) -> None:
    """Add nothing: the default of parse_run_flags."""


def parse_run_flags(
    argv: Sequence[str], prog: str, add_flags: Callable[[argparse._ActionsContainer], None] = no_more_flags
) -> RunFlags:
    """Parse a command line; `add_flags` adds a verb's own flags, found in `rest` beside predict_data and modal_type.

    A malformed flag ends the process with code 2, as argparse does. Raises UserError for a missing --config file, a
    dotted flag without a value and an unknown flag.
    """
    parser = run_parser(prog, add_flags)
    plain, dotted = _split_dotted(argv)
    rest, unknown = parser.parse_known_args(plain)
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings if action.dest != "help"]
        raise UserError(f"{unknown[0]}: unknown flag{nearest(unknown[0].partition('=')[0], known)}")
    overrides = []
    for flag in FLAGS:
        text = getattr(rest, flag.name)
        if text is not None:
            overrides += [(key, text) for key in flag.keys]
    _note_ineffective(rest)
    return RunFlags(find_config(rest.config), (*overrides, *_options(rest.options), *dotted), rest)


def run_parser(
    prog: str, add_flags: Callable[[argparse._ActionsContainer], None] = no_more_flags
) -> argparse.ArgumentParser:
    """Return the parser of a verb: its own flags, and those that every run knows."""
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} --config FILE [FLAGS]",
        epilog="Any other key of the file: --section.key VALUE, for example --optimizer.learning_rate 2e-5",
    )
    parser.add_argument(
        "--config", required=True, metavar="FILE", help="YAML file, relative to here or to the script's folder"
    )
    add_flags(parser.add_argument_group(f"flags of {prog}"))
    shared = parser.add_argument_group("flags of every run: keys of the file under their names in run_mindformer.py")
    for flag in FLAGS:
        metavar = METAVARS[flag.check]
        shared.add_argument(f"--{flag.name}", type=flag.check, metavar=metavar, help=flag.help)
    shared.add_argument("--predict_data", nargs="+", type=unescaped, default=[], metavar="TEXT", help="prompts")
    shared.add_argument("--modal_type", nargs="+", default=[], metavar="TEXT", help="no effect: everything is text")
    shared.add_argument("--options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="overrides")
    return parser


def _split_dotted(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Separate `--a.b value` and `--a.b=value` from the rest: argparse knows neither their names nor their number."""
    plain: list[str] = []
    dotted: list[tuple[str, str]] = []
    waiting = iter(argv)
    for word in waiting:
        match = _DOTTED.fullmatch(word)
        if match is None:
            plain.append(word)
            continue
        key, text = match.groups()
        text = next(waiting, None) if text is None else text
        if text is None or text.startswith("--"):
            raise UserError(f"--{key}: expected a value, as in --{key} VALUE")
        dotted.append((key, text))
    return plain, dotted


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UserError(f"--options {key}: expected KEY=VALUE, for example runner_config.epochs=1")
    return [(key, text) for key, _, text in pairs]


def _note_ineffective(rest: argparse.Namespace) -> None:
    without_effect = [flag.name for flag in FLAGS if not flag.keys] + ["modal_type"]
    given = [f"--{name}" for name in without_effect if getattr(rest, name)]
    if given:
        get_logger().info("flags without an effect here: %s", ", ".join(given))


def find_config(name: str) -> Path:
    """Return the path of a --config value, relative to the working folder or else to the script's folder."""
    folders = (Path(), Path(sys.argv[0]).resolve().parent)
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"--config {name}: no such file (looked in {folders[0].resolve()} and {folders[1]})")
