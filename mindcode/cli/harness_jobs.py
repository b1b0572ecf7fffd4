"""From a BigCodeEvalHarness callback to the command line of `mindcode evaluate` that says the same."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mindcode.cli.evaluate_flags import GENERATION_ONLY, SCORE_FLAGS, SOURCE_FLAGS
from mindcode.cli.evaluate_job import EvaluateJob, job_of, parse_arguments
from mindcode.cli.flags import parse_run_flags
from mindcode.config.harness import BigcodeArgs, HarnessConfig
from mindcode.config.loader import load_config
from mindcode.runtime.cluster import launched_workers
from mindcode.utils.errors import UserError

Overrides = Sequence[tuple[str, str]]
FLAGS = (*SCORE_FLAGS, GENERATION_ONLY, *SOURCE_FLAGS)
_GREEDY = "0"
_OWN_KEYS = ("run_mode", "seed", "use_parallel")
"""What training and its benchmarks have each for themselves."""


def words_of(harness: HarnessConfig) -> list[str]:
    """Return the flags that a callback stands for, in front of which others may come."""
    asked = harness.bigcode_args
    said = {field.name: getattr(asked, field.name) for field in dataclasses.fields(BigcodeArgs)}
    given = {name: value for name, value in said.items() if value not in (None, "")}
    given = {"temperature": _GREEDY, **given, "batch_size": harness.batch_size, "n_workers": harness.n_workers}
    lengths = [n for n in (asked.max_length_generation, harness.max_sequence_length) if n is not None]
    if lengths:
        given["max_length_generation"] = min(lengths)
    if harness.tokenizer_file_path:
        given["model_file"] = harness.tokenizer_file_path
    words = [f"--{name}={value}" for name, value in given.items()]
    return [*words, "--allow_code_execution"] if harness.allow_code_execution else words


def callback_words(file: str, rest: Sequence[str], argv: Sequence[str]) -> list[list[str]]:
    """Return a command line of `mindcode evaluate` for each callback of a file; what `argv` says wins.

    `rest` are the words of `argv` that belong to the configuration. The model is the newest checkpoint under the
    output_dir, as one network in all processes that run. Raises UserError for a file without callbacks.
    """
    run = parse_run_flags(["--config", file, *rest], "mindcode evaluate")
    config = load_config(run.config, run.overrides)
    if not config.bigcode_eval_harness:
        raise UserError(f"--task: missing, and {run.config} has no BigCodeEvalHarness callback; say --task humaneval")
    of_the_run = [f"--load_checkpoint={config.output_dir}", f"--model_parallel={launched_workers()}"]
    return [[*words_of(harness), *of_the_run, *argv] for harness in config.bigcode_eval_harness]


def training_job(harness: HarnessConfig, file: Path, overrides: Overrides, name: str) -> EvaluateJob:
    """Return what a callback asks of the run `name` that `file` and `overrides` describe.

    Raises UserError for what cannot be done.
    """
    arguments, _ = parse_arguments([*words_of(harness), f"--model_name={name}"], "mindcode train", FLAGS)
    kept = [(key, text) for key, text in overrides if key not in _OWN_KEYS]
    return job_of(arguments, file, [*kept, ("use_parallel", "False")])
