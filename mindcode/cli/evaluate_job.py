"""The command lines of `mindcode generate` and `mindcode evaluate`, checked before any weights are read."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindcode.cli.evaluate_flags import ANSWER_FLAGS, NO_EFFECT, TASK_FLAGS, EvalFlag, add_flags, underscored
from mindcode.cli.flags import parse_run_flags
from mindcode.cli.predict_flags import drawing_keys, evaluation_sampling, prediction_config, split_over
from mindcode.config.schema import RunConfig
from mindcode.evaluation.runner.dressing import Dressing
from mindcode.evaluation.types import Sampling
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_DRAWING = ("temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens")
_SAMPLING_PARAMS = {name: name for name in (*_DRAWING, "n")} | {"max_tokens": "max_new_tokens", "seed": "seed"}
_BACKENDS = ("mindcode", "vllm", "ray")
"""The second and third name what SkyThought's users have in their scripts; this project's decoder answers."""


_SYSTEM_PROMPTS: Mapping[str, str] = {
    "qwen_cot": "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. "
    "You should think step-by-step.",
}


@dataclass(frozen=True)
class EvaluateJob:
    """A checked command line."""

    config: RunConfig
    arguments: argparse.Namespace
    sampling: Sampling
    n_samples: int
    dressing: Dressing
    model_name: str

    @property
    def batch_size(self) -> int:
        """Prompts decoded at once."""
        return self.config.predict_batch_size or self.config.model.model_config.batch_size


def parse_arguments(argv: Sequence[str], prog: str, flags: Sequence[EvalFlag]) -> tuple[argparse.Namespace, list[str]]:
    """Return the values of the verb's own flags, and the words that belong to the configuration."""
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} --config FILE --load_checkpoint PATH --task NAME [FLAGS]",
        allow_abbrev=False,
        epilog="Also the flags of every run (see mindcode predict --help) and --section.key VALUE.",
    )
    for rows in (TASK_FLAGS, ANSWER_FLAGS, flags):
        add_flags(parser, rows)
    add_flags(parser.add_argument_group("flags of the harnesses that need nothing done here"), NO_EFFECT)
    return parser.parse_known_args(underscored(argv))


def make_job(arguments: argparse.Namespace, rest: Sequence[str], prog: str) -> EvaluateJob:
    """Load the configuration with what the flags say. Raises UserError for what cannot be done."""
    if not arguments.task:
        raise UserError("--task: missing; give one or several names, as in --task humaneval")
    named = ["--config", arguments.config] if arguments.config else []
    run = parse_run_flags([*named, *rest], prog)
    return job_of(arguments, run.config, run.overrides)


def job_of(arguments: argparse.Namespace, file: Path, overrides: Sequence[tuple[str, str]]) -> EvaluateJob:
    """Load a configuration, whose `overrides` come last. Raises UserError for what cannot be done."""
    if arguments.backend not in _BACKENDS:
        raise UserError(f"--backend {arguments.backend}: expected {', '.join(_BACKENDS)}")
    said = _said(arguments)
    seed = [("seed", said["seed"])] if "seed" in said else []
    drawing = drawing_keys({name: said[name] for name in _DRAWING if name in said})
    config = prediction_config(file, [*seed, *drawing, *_model_keys(arguments), *overrides])
    return EvaluateJob(
        config=config,
        arguments=arguments,
        sampling=evaluation_sampling(config),
        n_samples=int(said.get("n", "1")),
        dressing=Dressing(
            prefix=arguments.prefix,
            system_prompt=_system_prompt(arguments),
            assistant_prefill=arguments.assistant_prefill,
            instruction_tokens=arguments.instruction_tokens,
        ),
        model_name=arguments.model_name or _model_name(config),
    )


def _system_prompt(arguments: argparse.Namespace) -> str:
    if arguments.system_prompt_name is None:
        return str(arguments.system_prompt)
    if arguments.system_prompt:
        raise UserError("--system_prompt_name and --system_prompt: give one of them")
    return lookup(_SYSTEM_PROMPTS, arguments.system_prompt_name, "--system_prompt_name")


def _said(arguments: argparse.Namespace) -> dict[str, str]:
    """What the flags say about sampling: --sampling_params, and the flags of their own, which win.

    Who gives a temperature or top_p means what the harnesses mean by it: all tokens, unless top_k is given, too.
    """
    params = {lookup(_SAMPLING_PARAMS, name, "--sampling_params"): v for name, v in arguments.sampling_params.items()}
    flags = {name: value for name in (*_DRAWING, "n", "seed") if (value := getattr(arguments, name)) is not None}
    said = {name: str(value) for name, value in {**params, **flags}.items()}
    return {"top_k": "0", **said} if {"temperature", "top_p"} & said.keys() else said


def _model_keys(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the keys of the configuration that flags stand for, --backend_args before the flags of their own."""
    flags = {
        "load_checkpoint": arguments.load_checkpoint,
        "batch_size": arguments.batch_size,
        "dtype": arguments.precision,
        "tensor_parallel_size": arguments.model_parallel,
        "max_model_len": arguments.max_length_generation,
    }
    given = {**arguments.backend_args, **{name: value for name, value in flags.items() if value is not None}}
    return [key for name, value in given.items() for key in lookup(_MODEL_KEYS, name, "--backend_args")(str(value))]


def _key(name: str) -> Callable[[str], list[tuple[str, str]]]:
    return lambda text: [(name, text)]


_MODEL_KEYS: Mapping[str, Callable[[str], list[tuple[str, str]]]] = {
    "load_checkpoint": _key("load_checkpoint"),
    "batch_size": _key("predict_batch_size"),
    "dtype": lambda text: [("model.model_config.compute_dtype", _DTYPES.get(text, text.removeprefix("torch.")))],
    "revision": lambda text: [],
    "tensor_parallel_size": split_over,
    "max_model_len": lambda text: [
        (f"model.model_config.{name}", text) for name in ("seq_length", "max_decode_length")
    ],
}


def _model_name(config: RunConfig) -> str:
    path = Path(config.load_checkpoint or config.model.model_config.checkpoint_name_or_path or "model")
    return path.name if path.is_dir() else path.stem
