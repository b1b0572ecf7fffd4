"""Original MindFormers files load unchanged, and say the same as the files that are shipped here."""

import dataclasses
from pathlib import Path

import pytest

from mindcode.config.limits import CHOICES, RANGES
from mindcode.config.loader import load_config
from mindcode.config.mindformers import IGNORED, OFF
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.config.typed import field_types, sections
from mindcode.utils.errors import UserError

HERE = Path(__file__).parent
CONFIGS = HERE.parents[2] / "configs" / "codellama"
PRETRAIN = {
    "COLUMNS": '["input_ids"]',
    "DP": "1",
    "MP": "8",
    "PP": "2",
    "MEMORY": '"55GB"',
    "JIT": '"O2"',
    "EXTRA": "",
}
FINETUNE_16P = {**PRETRAIN, "COLUMNS": '["input_ids", "labels"]'}
FINETUNE_32P = {
    **FINETUNE_16P,
    "DP": "2",
    "MP": "4",
    "PP": "4",
    "MEMORY": '"56GB"',
    "JIT": '"O1"',
    "EXTRA": 'memory_optimize_level: "O0"',
}


def original(folder: Path, values: dict[str, str]) -> Path:
    """Write one of MindFormers' three training files and return its path."""
    lines = (HERE / "mindformers_34b_train.yaml").read_text().splitlines()[2:]
    text = "\n".join(lines)
    for name, value in values.items():
        text = text.replace(f": {name}\n", f": {value}\n").replace(f"  {name}\n", f"  {value}\n")
    path = folder / "original.yaml"
    path.write_text(text)
    return path


def without_max_position(config: RunConfig) -> RunConfig:
    """The shipped files add the trained length, which MindFormers' leave out."""
    network = dataclasses.replace(config.model.model_config, max_position_embedding=None)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, model_config=network))


@pytest.mark.parametrize(
    ("values", "shipped"),
    [
        (PRETRAIN, "pretrain_codellama_34b"),
        (FINETUNE_16P, "finetune_codellama_34b_16p"),
        (FINETUNE_32P, "finetune_codellama_34b_32p"),
    ],
    ids=["pretrain", "16p", "32p"],
)
def test_original_training_file_equals_the_shipped_one(tmp_path: Path, values: dict[str, str], shipped: str) -> None:
    theirs = load_config(original(tmp_path, values))
    assert theirs == without_max_position(load_config(CONFIGS / f"{shipped}.yaml"))


def test_original_prediction_file_equals_the_shipped_one() -> None:
    theirs = load_config(HERE / "mindformers_34b_predict.yaml")
    assert theirs == without_max_position(load_config(CONFIGS / "predict_codellama_34b.yaml"))


def test_what_is_ignored_is_named_in_one_warning(tmp_path: Path, messages: list[str]) -> None:
    load_config(original(tmp_path, FINETUNE_32P))
    assert len(messages) == 1
    for key in ("train_dataset_task", "eval_dataset.num_parallel_workers", "callbacks.ObsMonitor", "profile_memory"):
        assert f" {key}," in messages[0]
    assert "CheckpointMonitor" not in messages[0] and "jit_config" not in messages[0]


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
