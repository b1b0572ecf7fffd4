"""Every rule fires on a configuration that breaks it alone, and says the arithmetic."""

import dataclasses
from typing import Any

import pytest

from mindcode.config.harness import HarnessConfig
from mindcode.config.limits import CHOICES, RANGES
from mindcode.config.model_schema import RopeScaling
from mindcode.config.schema import RunConfig
from mindcode.config.validate import RULES, check_inputs, check_world_size, problems, validate
from mindcode.utils.errors import UserError

MODEL = "model.model_config."


def changed(section: Any, key: str, value: object) -> Any:
    """Return a copy of a dataclass with the field at a dotted key replaced."""
    head, _, rest = key.partition(".")
    return dataclasses.replace(section, **{head: changed(getattr(section, head), rest, value) if rest else value})


def with_changes(changes: dict[str, object]) -> RunConfig:
    config = RunConfig()
    for key, value in changes.items():
        config = changed(config, key, value)
    return config


def first_problem(changes: dict[str, object]) -> str:
    found = list(problems(with_changes(changes)))
    assert found, changes
    return f"{found[0].key}: {found[0].message}"


def test_the_defaults_are_valid() -> None:
    validate(RunConfig())


@pytest.mark.parametrize("key", CHOICES)
def test_each_choice_is_enforced(key: str) -> None:
    assert first_problem({key: "no such thing"}).startswith(f"{key}: 'no such thing', expected ")


@pytest.mark.parametrize("key", RANGES)
def test_each_range_is_enforced(key: str) -> None:
    assert first_problem({key: -2}).startswith(f"{key}: -2, expected ")


SPLIT = {"use_parallel": True, MODEL + "num_heads": 64, MODEL + "hidden_size": 8192, MODEL + "n_kv_heads": 8}
STAGES = {"use_parallel": True, "parallel_config.pipeline_stage": 4, "parallel_config.micro_batch_num": 4}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimizer.type": "Adamw"},
            "optimizer.type: 'Adamw', expected AdamW, FP32StateAdamWeightDecay; did you mean A",
        ),
        ({"optimizer.beta1": 1.0}, "optimizer.beta1: 1.0, expected at least 0 and below 1"),
        ({MODEL + "top_p": 0.0}, "top_p: 0.0, expected above 0 and at most 1"),
        ({"runner_config.max_steps": 0}, "max_steps: 0, expected at least 1, or -1"),
        ({MODEL + "num_heads": 3}, "hidden_size 4096 is not divisible by num_heads 3; choose a num_heads that divides"),
        ({MODEL + "hidden_size": 96}, "hidden_size 96 / num_heads 32 = head_dim 3, which is odd"),
        ({MODEL + "n_kv_heads": 5}, "n_kv_heads: num_heads 32 is not divisible by n_kv_heads 5"),
        ({MODEL + "vocab_size": 2}, "eos_token_id: 2 is not a row of the table of vocab_size 2"),
        ({MODEL + "eos_token_id": (2, 32000)}, "eos_token_id: 32000 is not a row of the table of vocab_size 32000"),
        ({MODEL + "pad_token_id": -1}, "pad_token_id: -1 is not a row"),
        ({MODEL + "ignore_token_id": 0}, "ignore_token_id: 0 is also a token; use -100"),
        ({MODEL + "extend_method": "PI"}, "scaling_factor: 1, but extend_method PI needs a factor above 1"),
        ({MODEL + "scaling_factor": 2.0}, "scaling_factor: 2 has no effect; set extend_method"),
        (
            {MODEL + "max_position_embedding": 1024},
            "seq_length: 2048 is longer than max_position_embedding 1024 x scaling_factor 1 = 1024; shorten it",
        ),
        (
            {"context.device_target": "CPU", MODEL + "compute_dtype": "bfloat16"},
            "compute_dtype: bfloat16 does not run on a CPU; use float32",
        ),
        ({"train_dataset.input_columns": ("labels",)}, "train_dataset.input_columns: labels, expected input_ids"),
        ({"eval_dataset.input_columns": ()}, "eval_dataset.input_columns: nothing, expected input_ids"),
        (
            {"lr_schedule.warmup_steps": 5, "lr_schedule.warmup_ratio": 0.1},
            "warmup_steps: 5, and warmup_ratio 0.1 says it too; set one of them to null",
        ),
        ({"lr_schedule.warmup_steps": 5, "lr_schedule.total_steps": 4}, "warmup_steps: 5 of only 4 total_steps"),
        ({"context.max_device_memory": "lots"}, "max_device_memory: 'lots', expected a size such as 55GB"),
        (
            {**SPLIT, "parallel_config.model_parallel": 16},
            "model_parallel: n_kv_heads 8 is not divisible by model_parallel 16; choose a model_parallel that divides",
        ),
        (
            {**SPLIT, "parallel_config.model_parallel": 8, MODEL + "vocab_size": 32001},
            "model_parallel: vocab_size 32001 is not divisible by model_parallel 8",
        ),
        (
            {**SPLIT, "parallel_config.model_parallel": 8, MODEL + "intermediate_size": 100},
            "model_parallel: intermediate_size 100 is not divisible by model_parallel 8",
        ),
        (
            {
                **SPLIT,
                "parallel_config.model_parallel": 8,
                "parallel_config.use_seq_parallel": True,
                MODEL + "seq_length": 100,
            },
            "model_parallel: seq_length 100 is not divisible by model_parallel 8",
        ),
        (
            {**SPLIT, "parallel_config.model_parallel": 8, "parallel.parallel_mode": 0},
            "parallel.parallel_mode: 0 (data parallel) excludes model_parallel and pipeline_stage; use 1",
        ),
        ({**STAGES, "parallel_config.micro_batch_num": 2}, "micro_batch_num: 2 is less than pipeline_stage 4"),
        (
            {**STAGES, "runner_config.gradient_accumulation_steps": 2},
            "gradient_accumulation_steps: 2, but with pipeline_stage 4 the accumulation is micro_batch_num (4); set",
        ),
        ({**STAGES, "run_mode": "predict"}, "pipeline_stage: 4, but generation runs in one stage; set it to 1"),
        ({**STAGES, MODEL + "num_layers": 30}, "pipeline_stage: num_layers 30 is not divisible by pipeline_stage 4"),
        ({**STAGES, MODEL + "offset": (1, 0)}, "offset: 2 numbers for pipeline_stage 4; give one for each stage"),
        (
            {**STAGES, MODEL + "num_layers": 30, MODEL + "offset": (0, 1, 0, 0)},
            "offset: 4 stages of 30 // 4 = 7 layers plus offsets of 1 make 29, not num_layers 30",
        ),
        ({**STAGES, MODEL + "offset": (8, 0, 0, -8)}, "offset: stage 3 would have no layer left"),
        (
            {"bigcode_eval_harness": (HarnessConfig(),)},
            "bigcode_eval_harness[0].bigcode_args: tasks: missing; name a benchmark, as in tasks: humaneval",
        ),
    ],
)
def test_rules_say_the_arithmetic(changes: dict[str, object], message: str) -> None:
    assert message in first_problem(changes)


def test_each_rule_is_tried_above() -> None:
    """A rule without a case in the table would go unnoticed; the count makes adding one a conscious act."""
    assert len(RULES) == 11


def test_uneven_stages_with_offsets_are_fine() -> None:
    validate(with_changes({**STAGES, MODEL + "num_layers": 30, MODEL + "offset": (0, 1, 1, 0)}))


def test_degrees_do_not_matter_without_use_parallel() -> None:
    validate(with_changes({"parallel_config.model_parallel": 7, "parallel_config.pipeline_stage": 5}))


def test_scaling_bands() -> None:
    upside_down = RopeScaling(factor=8.0, low_freq_factor=4.0, high_freq_factor=1.0)
    changes: dict[str, object] = {MODEL + "extend_method": "LLAMA3", MODEL + "scaling_factor": upside_down}
    assert "low_freq_factor: 4, expected a number above 0 and below high_freq_factor 1" in first_problem(changes)
    validate(with_changes({MODEL + "extend_method": "LLAMA3", MODEL + "scaling_factor": RopeScaling(factor=8.0)}))
    validate(with_changes({MODEL + "extend_method": "YARN", MODEL + "scaling_factor": RopeScaling(factor=8.0)}))


def test_world_size() -> None:
    config = with_changes({**STAGES, "parallel_config.data_parallel": 2})
    check_world_size(config, 8)
    with pytest.raises(
        UserError, match="data_parallel 2 x model_parallel 1 x pipeline_stage 4 = 8, but 4 processes run"
    ):
        check_world_size(config, 4)
    check_world_size(RunConfig(), 1)
    with pytest.raises(UserError, match="use_parallel: False, but 2 processes run"):
        check_world_size(RunConfig(), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give --train_dataset_dir"),
        ({"train_dataset.data_loader.dataset_dir": "x", "do_eval": True}, "give --eval_dataset_dir"),
        ({"run_mode": "eval"}, "give --eval_dataset_dir"),
        ({"run_mode": "predict"}, "run_mode predict needs weights; give --load_checkpoint"),
        ({"run_mode": "finetune", "train_dataset.data_loader.dataset_dir": "x"}, "run_mode finetune needs weights"),
    ],
)
def test_inputs(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_inputs(with_changes(changes))


def test_enough_inputs() -> None:
    check_inputs(with_changes({"train_dataset.data_loader.dataset_dir": "x"}))
    check_inputs(with_changes({"run_mode": "predict", "load_checkpoint": "x.ckpt"}))
