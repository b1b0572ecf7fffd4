"""The command line of `mindcode predict`: the run flags, and those that say what to generate and how."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindcode.cli.flags import parse_run_flags, unescaped
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.evaluation.postprocess import COMPLETION_FORMS
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES
from mindcode.evaluation.types import GREEDY, Sampling
from mindcode.generation.types import SamplingParams
from mindcode.utils.errors import UserError

HUMANEVAL = "humaneval"
_MODEL_FLAGS = {
    "max_new_tokens": "longest answer in tokens",
    "temperature": "divides the logits; above 0 it implies sampling, 0 takes the most likely token",
    "top_k": "sample among so many most likely tokens; 0 means all",
    "top_p": "sample among the fewest tokens whose probability reaches this",
    "repetition_penalty": "above 1 makes tokens already present less likely",
}
_STYLE_HELP = "humaneval's prompts (default: chat where there is a chat template, else completion)"


@dataclass(frozen=True)
class PredictJob:
    """A checked command line."""

    config: RunConfig
    model_file: Path | None
    texts: tuple[str, ...]
    """Prompts from the command line."""
    input_file: str
    """A file of prompts, the word humaneval, or empty."""
    output_file: Path | None
    num_samples: int
    sampling: SamplingParams
    chat_template: str
    prompt_style: str
    """A name in PROMPT_STYLES; empty: what suits the tokenizer."""
    completion_form: str
    limit: int | None
    """Only the first so many problems of HumanEval."""


def parse_job(argv: Sequence[str]) -> PredictJob:
    """Parse flags and configuration. Raises UserError for what cannot be done."""
    flags = parse_run_flags(_known_spellings(argv), "mindcode predict", add_predict_flags)
    rest = flags.rest
    drawing = drawing_keys({name: text for name in _MODEL_FLAGS if (text := getattr(rest, name)) is not None})
    config = prediction_config(flags.config, [*split_over(rest.model_parallel), *drawing, *flags.overrides])
    if bool(rest.input_file) == bool(rest.predict_data):
        raise UserError("prompts: give either --predict_data TEXT ... or --input_file FILE (or humaneval)")
    return PredictJob(
        config=config,
        model_file=rest.model_file,
        texts=tuple(rest.predict_data),
        input_file=rest.input_file,
        output_file=rest.output_file,
        num_samples=int(rest.num_samples or 1),
        sampling=_sampling(config, rest.stop),
        chat_template=rest.chat_template,
        prompt_style=rest.prompt_style,
        completion_form=rest.completion_form,
        limit=rest.limit,
    )


def prediction_config(file: Path, overrides: Sequence[tuple[str, str]]) -> RunConfig:
    """Load a configuration to generate with. Raises UserError for several copies of the network."""
    config = load_config(file, [("run_mode", "predict"), *overrides])
    if config.use_parallel and config.parallel_config.data_parallel > 1:
        copies = config.parallel_config.data_parallel
        raise UserError(
            f"parallel_config.data_parallel: {copies}, but generation has one copy of the network; set it to 1, or say "
            "--model_parallel with the number of processes"
        )
    return config


def drawing_keys(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the keys and values of flags that say how tokens are drawn; a temperature says whether to sample, too."""
    values = dict(texts)
    if "temperature" in values:
        greedy = float(values["temperature"]) == 0
        values = {"do_sample": str(not greedy), **values, **({"temperature": "1.0"} if greedy else {})}
    return [(f"model.model_config.{name}", text) for name, text in values.items()]


def split_over(model_parallel: str | None) -> list[tuple[str, str]]:
    """Return what --model_parallel N stands for."""
    if model_parallel is None:
        return []
    degrees = {"data_parallel": "1", "model_parallel": model_parallel, "pipeline_stage": "1"}
    keys = [(f"parallel_config.{name}", degree) for name, degree in degrees.items()]
    return [("use_parallel", str(model_parallel != "1")), *keys]


def _known_spellings(argv: Sequence[str]) -> list[str]:
    """Accept run_codellama_generate.py's flags too: --config_path, and --use_parallel without a value."""
    words: list[str] = []
    for index, word in enumerate(argv):
        words.append("--config" + word.removeprefix("--config_path") if word.startswith("--config_path") else word)
        following = argv[index + 1] if index + 1 < len(argv) else "--"
        if word == "--use_parallel" and following.startswith("--"):
            words.append("True")
    return words


def add_predict_flags(parser: argparse._ActionsContainer) -> None:
    """Add what only a prediction knows."""
    parser.add_argument("--input_file", default="", metavar="FILE", help="prompts.txt, prompts.jsonl or humaneval")
    parser.add_argument("--output_file", type=Path, metavar="FILE", help="JSONL, appended row by row, continued")
    parser.add_argument("--model_file", type=Path, metavar="FILE", help="tokenizer.model, tokenizer.json or a folder")
    parser.add_argument("--chat_template", default="", help="tokenizer, codellama-instruct, a name of fschat, or none")
    parser.add_argument("--stop", action="append", type=unescaped, default=[], help="ends the answer; repeatable")
    parser.add_argument("--model_parallel", metavar="N", help="split the network over N processes of mindcode launch")
    for name, text in _MODEL_FLAGS.items():
        parser.add_argument(f"--{name}", type=_number, metavar="N", help=text)
    parser.add_argument("--prompt_style", default="", choices=list(PROMPT_STYLES), help=_STYLE_HELP)
    parser.add_argument("--completion_form", default="continuation", choices=list(COMPLETION_FORMS))
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N problems of humaneval")


def _number(text: str) -> str:
    try:
        return text if float(text) >= 0 else _not_a_number(text)
    except ValueError:
        return _not_a_number(text)


def _not_a_number(text: str) -> str:
    raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 up")


def _sampling(config: RunConfig, stop: Sequence[str]) -> SamplingParams:
    model = config.model.model_config
    return SamplingParams(
        max_new_tokens=model.max_new_tokens or model.max_decode_length,
        temperature=model.temperature,
        top_k=model.top_k,
        top_p=model.top_p,
        repetition_penalty=model.repetition_penalty,
        do_sample=model.do_sample,
        stop=tuple(stop),
    )


def evaluation_sampling(config: RunConfig) -> Sampling:
    """Return how the configuration draws tokens, as an evaluation says it."""
    params = _sampling(config, ())
    return Sampling(
        max_new_tokens=params.max_new_tokens,
        temperature=params.temperature if params.do_sample else GREEDY,
        top_k=params.top_k,
        top_p=params.top_p,
        repetition_penalty=params.repetition_penalty,
    )
