"""The file that MindFormers 1.9.0 is given: what is moved, renamed, worked out and left out. Needs no MindFormers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.mindformers_files import original

from mindcode.config.document import walk
from mindcode.config.loader import load_config, read_tree
from mindcode.config.schema import RunConfig
from mindcode.config.typed import field_types, sections
from mindcode.neighbours.mindformers_keys import DROPPED, MOVED
from mindcode.neighbours.translate import Translation, translate

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "codellama"
TRAINING = sorted(path for path in CONFIGS.glob("*.yaml") if not path.stem.startswith("predict"))


def translated(path: Path, overrides: Sequence[tuple[str, str]] = ()) -> Translation:
    return translate(load_config(path, overrides), read_tree(path, overrides))


def of_text(folder: Path, text: str) -> Translation:
    path = folder / "a.yaml"
    path.write_text(f"engine: mindformers\n{text}")
    return translated(path)


def value(document: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        document = document[part]
    return document


def test_the_optimizer_of_the_published_files_is_renamed() -> None:
    translation = translated(CONFIGS / "finetune_codellama_34b_16p.yaml")
    assert translation.document["optimizer"] == {
        "type": "AdamW",
        "betas": [0.9, 0.95],
        "eps": 1e-8,
        "weight_decay": 0.0,
    }
    assert "optimizer.type: AdamW: the AdamW it has; it always corrects the bias of the moments" in translation.changes


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_nothing_of_mindcode_alone_is_left(path: Path) -> None:
    document = translated(path, [("engine", "mindformers")]).document
    assert not {"engine", "tensorboard", "checkpoint"} & document.keys()
    assert (
        document["context"]["jit_config"]["jit_level"] in ("O0", "O1", "O2") and "jit_level" not in document["context"]
    )
    assert None not in (
        entry for section in document.values() if isinstance(section, dict) for entry in section.values()
    )


def test_degrees_sizes_and_schedule_are_the_same() -> None:
    path = CONFIGS / "finetune_codellama_34b_32p.yaml"
    config, document = load_config(path), translated(path).document
    degrees, network = config.parallel_config, config.model.model_config
    for name in ("data_parallel", "model_parallel", "pipeline_stage", "micro_batch_num", "use_seq_parallel"):
        assert document["parallel_config"][name] == getattr(degrees, name)
    for name in ("hidden_size", "num_layers", "num_heads", "n_kv_heads", "vocab_size", "theta", "compute_dtype"):
        assert value(document, f"model.model_config.{name}") == getattr(network, name)
    assert document["lr_schedule"]["warmup_ratio"] == config.lr_schedule.warmup_ratio
    assert document["train_dataset"]["input_columns"] == ["input_ids", "labels"]


def test_numbers_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1, and so MindFormers, reads 1e-5 as text; what is written has been read by the type of its key."""
    document = of_text(tmp_path, "lr_schedule: {learning_rate: 1e-5}\noptimizer: {eps: 1e-8}\n").document
    assert (document["lr_schedule"]["learning_rate"], document["optimizer"]["eps"]) == (1e-5, 1e-8)


def test_defaults_are_spelt_out(tmp_path: Path) -> None:
    """1.9.0 has another seed, another number of epochs and no sharded optimizer when a file is silent."""
    document = of_text(tmp_path, "").document
    assert (document["seed"], document["runner_config"]["epochs"]) == (0, 2)
    assert document["parallel"]["enable_parallel_optimizer"] is True
    assert document["train_dataset_task"] == {"type": "CausalLanguageModelDataset"}
    assert [item["type"] for item in document["callbacks"]] == ["MFLossMonitor", "CheckpointMonitor"]


def test_what_mindcode_ignores_goes_through(tmp_path: Path, messages: list[str]) -> None:
    text = (
        "profile: True\nremote_save_url: '*a: [b'\ntrain_dataset: {num_parallel_workers: 4}\n"
        "model: {model_config: {fused_rms_norm: False}}\nrunner_wrapper: {scale_sense: 1.0}\n"
        "context: {jit_config: {jit_level: O0}, ascend_config: {precision_mode: must_keep_origin_dtype}}\n"
        "callbacks: [{type: MFLossMonitor, per_print_times: 2}, {type: CheckpointMonitor, save_network_params: True}]\n"
    )
    document, changes = of_text(tmp_path, text)
    assert value(document, "context.ascend_config.precision_mode") == "must_keep_origin_dtype"
    assert value(document, "context.jit_config.jit_level") == "O0"
    assert document["remote_save_url"] == "*a: [b"
    assert (document["profile"], value(document, "train_dataset.num_parallel_workers")) == (True, 4)
    assert value(document, "model.model_config.fused_rms_norm") is False
    monitors = {item["type"]: item for item in document["callbacks"]}
    assert monitors["MFLossMonitor"]["per_print_times"] == 2 and monitors["CheckpointMonitor"]["save_network_params"]
    assert not messages and not [line for line in changes if line.startswith(("model", "profile", "runner_wrapper"))]


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("runner_config: {max_steps: 7}\n", "runner_config.stop_step", 7),
        ("optimizer: {learning_rate: 2e-5}\n", "lr_schedule.learning_rate", 2e-5),
        ("train_dataset: {num_samples: 64}\n", "train_dataset.data_loader.num_samples", 64),
        ("runner_wrapper: {scale_sense: 1.0}\n", "runner_wrapper.scale_sense",
         {"type": "FixedLossScaleUpdateCell", "loss_scale_value": 1.0}),
        ("parallel_config: {vocab_emb_dp: True}\n", "parallel_config.vocab_emb_dp", True),
        ("use_parallel: True\nparallel_config: {pipeline_stage: 2, micro_batch_num: 2, vocab_emb_dp: True}\n",
         "parallel_config.vocab_emb_dp", False),
    ],
)  # fmt: skip
def test_what_has_another_name_or_place(tmp_path: Path, text: str, key: str, expected: object) -> None:
    assert value(of_text(tmp_path, text).document, key) == expected


def test_each_change_of_what_was_written_is_one_line(tmp_path: Path) -> None:
    text = (
        "auto_tune: False\ncallbacks: [{type: ObsMonitor}]\noptimizer: {type: FP32StateAdamWeightDecay, beta2: 0.9}\n"
    )
    changes = of_text(tmp_path, text).changes
    assert len(changes) == len(set(changes)) and not [line for line in changes if "\n" in line]
    for start in ("auto_tune is left out", "callbacks.ObsMonitor is left out", "optimizer.betas: [0.9, 0.9]"):
        assert [line for line in changes if line.startswith(start)], start
    assert not [line for line in changes if line.startswith(("runner_config", "tensorboard", "lr_schedule"))]


def test_the_tables_name_keys_that_exist(tmp_path: Path) -> None:
    known = {f"{section}.{name}" for section, kind in sections(RunConfig) for name in field_types(kind)}
    known |= set(field_types(RunConfig))
    assert {key.removesuffix(".*") for key in MOVED} <= known
    accepted = {key for key, _ in walk(read_tree(original(tmp_path, "finetune_codellama_34b_32p")))}
    for pattern in DROPPED:
        name = pattern.replace("*_dataset", "train_dataset").removesuffix("*")
        assert name in known | accepted or name in ("use_legacy", "context.graph_kernel_flags"), pattern
