"""Original MindFormers files load unchanged, and say the same as the files that are shipped here."""

import dataclasses
from pathlib import Path

import pytest
from helpers.mindformers_files import NAMES, TRAINING, original

from mindcode.config.limits import CHOICES, RANGES
from mindcode.config.loader import load_config
from mindcode.config.mindformers import IGNORED, OFF
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.config.typed import field_types, sections
from mindcode.utils.errors import UserError

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "codellama"


def without_max_position(config: RunConfig) -> RunConfig:
    """The shipped files add the trained length, which MindFormers' leave out."""
    network = dataclasses.replace(config.model.model_config, max_position_embedding=None)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, model_config=network))


DATASET_KEYS = ("num_parallel_workers", "python_multiprocessing", "numa_enable", "prefetch_size", "repeat")
IGNORED_EVERYWHERE = {
    *("auto_tune", "filepath_prefix", "autotune_per_step", "layer_scale", "layer_decay", "lr_scale_factor"),
    *("profile", "profile_start_step", "profile_stop_step", "profile_communication", "profile_memory"),
    *("init_start_profile", "remote_save_url", "metric", "eval_callbacks"),
    *("callbacks.MFLossMonitor", "callbacks.ObsMonitor", "processor.type", "processor.return_tensors"),
    *(f"processor.tokenizer.{name}_token" for name in ("unk", "bos", "eos", "pad")),
    *("parallel.enable_alltoall", "parallel.search_mode", "context.enable_graph_kernel"),
}
IGNORED_IN_TRAINING = {
    *(f"{dataset}.{key}" for dataset in ("train_dataset", "eval_dataset") for key in DATASET_KEYS),
    *("train_dataset_task", "eval_dataset_task"),
}
IGNORED_IN_ONE = {
    "finetune_codellama_34b_32p": {"context.memory_optimize_level"},
    "predict_codellama_34b": {"context.ascend_config"},
}


@pytest.mark.parametrize("name", NAMES)
def test_an_original_file_equals_the_shipped_one(tmp_path: Path, name: str) -> None:
    theirs, shipped = load_config(original(tmp_path, name)), load_config(CONFIGS / f"{name}.yaml")
    if name not in TRAINING:  # theirs also says how long to train and when to save
        theirs = dataclasses.replace(theirs, runner_config=shipped.runner_config, checkpoint=shipped.checkpoint)
    assert theirs == without_max_position(shipped)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_ignored_is_named_in_one_warning(tmp_path: Path, messages: list[str], name: str) -> None:
    load_config(original(tmp_path, name))
    assert len(messages) == 1
    ignored = (
        IGNORED_EVERYWHERE | IGNORED_IN_ONE.get(name, set()) | (IGNORED_IN_TRAINING if name in TRAINING else set())
    )
    assert set(messages[0].rpartition(": ")[2].split(", ")) == ignored


def test_a_checkpoint_monitor_by_its_misspelt_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("callbacks:\n  - type: CheckpointMointor\n    prefix: llama\n")
    assert load_config(path).checkpoint.prefix == "llama"


def test_scalar_loss_scale_is_a_fixed_one(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("runner_wrapper:\n  scale_sense: 1.0\n")
    scale = load_config(path).runner_wrapper.scale_sense
    assert (scale.type, scale.loss_scale_value) == ("FixedLossScaleUpdateCell", 1.0)


def test_parallel_mode_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("parallel:\n  parallel_mode: semi_auto_parallel\n")
    assert load_config(path).parallel.parallel_mode == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("moe_config:\n  expert_num: 8\n", "a.yaml:2: moe_config.expert_num: not supported here; remove the key or"),
        ("model:\n  model_config:\n    pet_config:\n      pet_type: lora\n", "a.yaml:3: model.model_config.pet_config"),
        ("callbacks:\n  - prefix: x\n", "a.yaml:2: callbacks: each item needs a type"),
        ("context:\n  jit_level: O0\n  jit_config:\n    jit_level: O1\n", "also given as context.jit_level; keep one"),
    ],
)
def test_what_would_change_the_result_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError) as raised:
        load_config(tmp_path / "a.yaml")
    assert message in str(raised.value)


def test_the_tables_name_no_key_of_the_schema_and_only_such_where_they_should() -> None:
    known = {f"{section}.{name}" for section, kind in sections(RunConfig) for name in field_types(kind)}
    known |= set(field_types(RunConfig))
    assert not known & {*OFF, *(name for names in IGNORED.values() for name in names)}
    assert {*CHOICES, *RANGES} <= known
    assert all(f"model.model_config.{field.name}" in known for field in dataclasses.fields(ModelConfig))


HARNESSES = """
callbacks:
  - {type: CheckpointMonitor, prefix: tiny}
  - type: BigCodeEvalHarness
    every_n_steps: 5
    bigcode_args: {tasks: humaneval, limit: 3, temperature: 0.2}
  - BigCodeEvalHarness:
      data_dir: /data
      flags: {csx.performance.micro_batch_size: 16}
      bigcode_args: {tasks: mbpp, save_generations_path: g.json}
  - HFCacheDir: {cache_dir: /cache}
"""


def test_callbacks_that_evaluate_are_a_list(tmp_path: Path, messages: list[str]) -> None:
    """MindFormers' way to write a callback, and Cerebras'."""
    path = tmp_path / "a.yaml"
    path.write_text(HARNESSES)
    config = load_config(path)
    first, second = config.bigcode_eval_harness
    assert (first.every_n_steps, first.bigcode_args.limit, first.bigcode_args.temperature) == (5, 3, 0.2)
    assert (second.bigcode_args.tasks, second.every_n_vals, config.checkpoint.prefix) == ("mbpp", 1, "tiny")
    assert set(messages[0].rpartition(": ")[2].split(", ")) == {
        *("bigcode_eval_harness[1].data_dir", "bigcode_eval_harness[1].flags"),
        *("bigcode_eval_harness[1].bigcode_args.save_generations_path", "callbacks.HFCacheDir"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[{type: BigCodeEvalHarness, bigcode_args: {taks: mbpp}}]",
            "bigcode_args.taks: unknown key; did you mean tasks",
        ),
        (
            "[{type: BigCodeEvalHarness, every_n_steps: x}]",
            r"bigcode_eval_harness\[0\].every_n_steps: 'x', expected a whole",
        ),
        ("[{type: BigCodeEvalHarness, every_n_vals: -1, bigcode_args: {tasks: a}}]", "-1, expected at least 0"),
        (
            "[{type: BigCodeEvalHarness, name_scope: a, bigcode_args: {tasks: a}}, "
            "{type: BigCodeEvalHarness, name_scope: a, bigcode_args: {tasks: b}}]",
            "'a' is the folder of two callbacks",
        ),
        ("[BigCodeEvalHarness]", "each item needs a type"),
    ],
)
def test_callbacks_that_cannot_be_read_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"callbacks: {text}\n")
    with pytest.raises(UserError, match=f"^{path}:1: .*{message}"):
        load_config(path)
