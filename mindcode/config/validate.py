"""Every rule that a configuration must keep, with the arithmetic in the message.

A rule is a function that yields Problems; a Problem names the key to change. The rules on one value are tables
(limits.py), those on several are here. `load_config` calls them; what depends on the machine has functions of its own.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from mindcode.config.limits import BIGCODE_LOWEST, CHOICES, HARNESS_LOWEST, HARNESS_NOT_NAMES, RANGES
from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import harness_names, processes_needed
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import nearest

MODEL = "model.model_config"
COLUMNS = ("input_ids", "labels")


class Problem(NamedTuple):
    """A dotted key and what is wrong with its value."""

    key: str
    message: str


def validate(config: RunConfig) -> None:
    """Raise UserError for the first rule that `config` breaks."""
    for problem in problems(config):
        raise UserError(f"{problem.key}: {problem.message}")


def problems(config: RunConfig) -> Iterator[Problem]:
    """Yield every broken rule: single values first, since the other rules count on them."""
    single = [*_choices(config), *_ranges(config)]
    yield from single
    if not single:
        for rule in RULES:
            yield from rule(config)


def check_world_size(config: RunConfig, world_size: int) -> None:
    """Raise UserError unless the parallel degrees multiply to the number of running processes."""
    degrees = config.parallel_config
    needed = processes_needed(config)
    if needed == world_size:
        return
    if not config.use_parallel:
        raise UserError(f"use_parallel: False, but {world_size} processes run; set it to True or start one process")
    raise UserError(
        f"parallel_config: data_parallel {degrees.data_parallel} x model_parallel {degrees.model_parallel} x "
        f"pipeline_stage {degrees.pipeline_stage} = {needed}, but {world_size} processes run; make the two equal"
    )


def check_inputs(config: RunConfig) -> None:
    """Raise UserError when the run mode needs data or weights that the configuration does not name."""
    if config.is_training and not config.train_dataset.data_loader.dataset_dir:
        raise UserError("train_dataset.data_loader.dataset_dir: empty; give --train_dataset_dir FILE_OR_FOLDER")
    if (config.run_mode == "eval" or config.do_eval) and not config.eval_dataset.data_loader.dataset_dir:
        raise UserError("eval_dataset.data_loader.dataset_dir: empty; give --eval_dataset_dir FILE_OR_FOLDER")
    weights = config.load_checkpoint or config.model.model_config.checkpoint_name_or_path or config.resume_training
    if config.run_mode != "train" and not weights:
        raise UserError(f"load_checkpoint: empty, but run_mode {config.run_mode} needs weights; give --load_checkpoint")


def _value(config: RunConfig, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), config)


def _choices(config: RunConfig) -> Iterator[Problem]:
    for key, allowed in CHOICES.items():
        value = _value(config, key)
        if value not in allowed:
            names = ", ".join("null" if item is None else str(item) for item in allowed)
            yield Problem(key, f"{value!r}, expected {names}{nearest(str(value), [str(item) for item in allowed])}")


def _ranges(config: RunConfig) -> Iterator[Problem]:
    for key, allowed in RANGES.items():
        value = _value(config, key)
        if value is not None and not allowed.contains(value):
            yield Problem(key, f"{value}, expected {allowed.describe()}")


def _heads(config: RunConfig) -> Iterator[Problem]:
    model = config.model.model_config
    if model.hidden_size % model.num_heads:
        yield _indivisible(f"{MODEL}.hidden_size", model.hidden_size, "num_heads", model.num_heads)
    elif model.head_dim % 2:
        yield Problem(
            f"{MODEL}.hidden_size",
            f"hidden_size {model.hidden_size} / num_heads {model.num_heads} = head_dim {model.head_dim}, which is odd; "
            "rotary embedding needs an even one",
        )
    if model.num_heads % model.kv_heads:
        yield _indivisible(f"{MODEL}.n_kv_heads", model.num_heads, "n_kv_heads", model.kv_heads, what="num_heads")


def _token_ids(config: RunConfig) -> Iterator[Problem]:
    model = config.model.model_config
    ids = [("bos_token_id", model.bos_token_id), ("pad_token_id", model.pad_token_id)]
    for name, token in [*ids, *(("eos_token_id", eos) for eos in model.eos_token_ids)]:
        if not 0 <= token < model.vocab_size:
            yield Problem(f"{MODEL}.{name}", f"{token} is not a row of the table of vocab_size {model.vocab_size}")
    if 0 <= model.ignore_token_id < model.vocab_size:
        yield Problem(f"{MODEL}.ignore_token_id", f"{model.ignore_token_id} is also a token; use -100")


def _positions(config: RunConfig) -> Iterator[Problem]:
    model = config.model.model_config
    scaling = model.scaling_factor
    factor = scaling.factor if isinstance(scaling, RopeScaling) else scaling
    if model.extend_method != "None" and factor <= 1:
        yield Problem(
            f"{MODEL}.scaling_factor",
            f"{factor:g}, but extend_method {model.extend_method} needs a factor above 1 (new length / trained length)",
        )
    elif model.extend_method == "None" and factor != 1:
        yield Problem(
            f"{MODEL}.scaling_factor", f"{factor:g} has no effect; set extend_method to PI, NTK, YARN or LLAMA3"
        )
    if isinstance(scaling, RopeScaling):
        yield from _bands(model.extend_method, scaling)
    yield from _length(model, factor)


def _bands(method: str, scaling: RopeScaling) -> Iterator[Problem]:
    bands = {
        "LLAMA3": ("low_freq_factor", scaling.low_freq_factor, "high_freq_factor", scaling.high_freq_factor),
        "YARN": ("beta_slow", scaling.beta_slow, "beta_fast", scaling.beta_fast),
    }
    if method in bands:
        low_name, low, high_name, high = bands[method]
        if not 0 < low < high:
            key = f"{MODEL}.scaling_factor.{low_name}"
            yield Problem(key, f"{low:g}, expected a number above 0 and below {high_name} {high:g}")


def _length(model: ModelConfig, factor: float) -> Iterator[Problem]:
    longest = model.max_position_embedding
    if longest is not None and model.seq_length > longest * max(factor, 1):
        yield Problem(
            f"{MODEL}.seq_length",
            f"{model.seq_length} is longer than max_position_embedding {longest} x scaling_factor {factor:g} = "
            f"{longest * factor:g}; shorten it or set extend_method and scaling_factor",
        )


def _formats(config: RunConfig) -> Iterator[Problem]:
    if config.context.device_target != "CPU":
        return
    for key in CHOICES:
        if key.startswith(MODEL) and _value(config, key) == "bfloat16":
            yield Problem(key, "bfloat16 does not run on a CPU; use float32")


def _batches(config: RunConfig) -> Iterator[Problem]:
    degrees, runner = config.parallel_config, config.runner_config
    if not config.use_parallel or degrees.pipeline_stage == 1:
        return
    if degrees.micro_batch_num < degrees.pipeline_stage:
        yield Problem(
            "parallel_config.micro_batch_num",
            f"{degrees.micro_batch_num} is less than pipeline_stage {degrees.pipeline_stage}; "
            "every stage needs a micro-batch to work on",
        )
    if runner.gradient_accumulation_steps > 1:
        yield Problem(
            "runner_config.gradient_accumulation_steps",
            f"{runner.gradient_accumulation_steps}, but with pipeline_stage {degrees.pipeline_stage} the accumulation "
            f"is micro_batch_num ({degrees.micro_batch_num}); set this to 1",
        )


def _tensor_split(config: RunConfig) -> Iterator[Problem]:
    degrees, model = config.parallel_config, config.model.model_config
    if not config.use_parallel:
        return
    split = {
        "num_heads": model.num_heads,
        "n_kv_heads": model.kv_heads,
        "vocab_size": model.vocab_size,
        "intermediate_size": model.ffn_size,
        "hidden_size": model.hidden_size,
    }
    if degrees.use_seq_parallel:
        split["seq_length"] = model.seq_length
    for name, size in split.items():
        if size % degrees.model_parallel:
            key = "parallel_config.model_parallel"
            yield _indivisible(key, size, "model_parallel", degrees.model_parallel, what=name)
    if config.parallel.parallel_mode == 0 and degrees.model_parallel * degrees.pipeline_stage > 1:
        yield Problem("parallel.parallel_mode", "0 (data parallel) excludes model_parallel and pipeline_stage; use 1")


def _stages(config: RunConfig) -> Iterator[Problem]:
    stages, model = config.parallel_config.pipeline_stage, config.model.model_config
    if not config.use_parallel or stages == 1:
        return
    if config.run_mode == "predict":
        yield Problem("parallel_config.pipeline_stage", f"{stages}, but generation runs in one stage; set it to 1")
    if isinstance(model.offset, tuple):
        yield from _offsets(model.offset, stages, model.num_layers)
    elif model.num_layers % stages:
        yield _indivisible("parallel_config.pipeline_stage", model.num_layers, "pipeline_stage", stages, "num_layers")


def _offsets(offset: tuple[int, ...], stages: int, num_layers: int) -> Iterator[Problem]:
    key = f"{MODEL}.offset"
    if len(offset) != stages:
        yield Problem(key, f"{len(offset)} numbers for pipeline_stage {stages}; give one for each stage")
    elif num_layers // stages * stages + sum(offset) != num_layers:
        yield Problem(
            key,
            f"{stages} stages of {num_layers} // {stages} = {num_layers // stages} layers plus offsets of "
            f"{sum(offset)} make {num_layers // stages * stages + sum(offset)}, not num_layers {num_layers}",
        )
    elif num_layers // stages + min(offset) < 1:
        yield Problem(key, f"stage {offset.index(min(offset))} would have no layer left")


def _schedule(config: RunConfig) -> Iterator[Problem]:
    schedule = config.lr_schedule
    if schedule.warmup_steps and schedule.warmup_ratio is not None:
        yield Problem(
            "lr_schedule.warmup_steps",
            f"{schedule.warmup_steps}, and warmup_ratio {schedule.warmup_ratio:g} says it too; set one of them to null",
        )
    if schedule.total_steps != -1 and schedule.warmup_steps > schedule.total_steps:
        yield Problem("lr_schedule.warmup_steps", f"{schedule.warmup_steps} of only {schedule.total_steps} total_steps")


def _columns(config: RunConfig) -> Iterator[Problem]:
    for key, dataset in (("train_dataset", config.train_dataset), ("eval_dataset", config.eval_dataset)):
        unknown = [name for name in dataset.input_columns if name not in COLUMNS]
        if unknown or "input_ids" not in dataset.input_columns:
            given = ", ".join(dataset.input_columns) or "nothing"
            yield Problem(f"{key}.input_columns", f"{given}, expected input_ids, or input_ids and labels")


def _memory(config: RunConfig) -> Iterator[Problem]:
    text = config.context.max_device_memory
    if not re.fullmatch(r"\d+(\.\d+)?GB", text):
        yield Problem("context.max_device_memory", f"{text!r}, expected a size such as 55GB")


def _indivisible(key: str, size: int, divisor_name: str, divisor: int, what: str = "") -> Problem:
    name = what or key.rpartition(".")[2]
    return Problem(
        key, f"{name} {size} is not divisible by {divisor_name} {divisor}; choose a {divisor_name} that divides {size}"
    )


def _harnesses(config: RunConfig) -> Iterator[Problem]:
    names = harness_names(config)
    for index, harness in enumerate(config.bigcode_eval_harness):
        key = f"bigcode_eval_harness[{index}]"
        asked = harness.bigcode_args
        for section, lowest, place in ((harness, HARNESS_LOWEST, key), (asked, BIGCODE_LOWEST, f"{key}.bigcode_args")):
            for name, low in lowest.items():
                value = getattr(section, name)
                if value is not None and value < low:
                    yield Problem(f"{place}.{name}", f"{value}, expected at least {low}")
        if not asked.tasks:
            yield Problem(f"{key}.bigcode_args", "tasks: missing; name a benchmark, as in tasks: humaneval")
        if asked.instruction_tokens is not None and asked.instruction_tokens.count(",") != 2:
            where = f"{key}.bigcode_args.instruction_tokens"
            yield Problem(where, f"{asked.instruction_tokens!r}, expected USER,END,ASSISTANT with two commas")
        if not re.fullmatch(r"[\w-]+", names[index]) or names[index] in HARNESS_NOT_NAMES:
            expected = "letters, digits, - and _, and no folder that a run has anyway"
            yield Problem(f"{key}.name_scope", f"{names[index]!r}, expected {expected}")
        if names.index(names[index]) < index:
            yield Problem(f"{key}.name_scope", f"{names[index]!r} is the folder of two callbacks; name another")


RULES = (
    _heads,
    _token_ids,
    _positions,
    _formats,
    _columns,
    _schedule,
    _batches,
    _tensor_split,
    _stages,
    _memory,
    _harnesses,
)
