"""Layers: base files, the file, overrides; unknown keys; the way back to YAML."""

import json
from pathlib import Path

import pytest
import yaml

from mindcode.config.loader import load_config, read_run_mode, to_dict
from mindcode.config.schema import RunConfig
from mindcode.utils.errors import UserError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def error_of(path: Path, *overrides: tuple[str, str]) -> str:
    with pytest.raises(UserError) as raised:
        load_config(path, overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_file_of_one_key_has_the_defaults_for_the_rest(tmp_path: Path) -> None:
    assert load_config(write(tmp_path / "a.yaml", "seed: 0\n")) == RunConfig()


def test_the_child_wins_over_its_bases_key_by_key(tmp_path: Path) -> None:
    write(tmp_path / "base" / "one.yaml", "seed: 1\nrunner_config: {epochs: 5, batch_size: 6}\n")
    write(tmp_path / "base" / "two.yaml", "seed: 2\ncallbacks: [{type: CheckpointMonitor, prefix: two}]\n")
    text = (
        "base_config: [base/one.yaml, base/two.yaml]\nrunner_config: {epochs: 7}\n"
        "callbacks: [{type: CheckpointMonitor, keep_checkpoint_max: 9}]\n"
    )
    config = load_config(write(tmp_path / "a.yaml", text))
    assert (config.seed, config.runner_config.epochs, config.runner_config.batch_size) == (2, 7, 6)
    assert (config.checkpoint.prefix, config.checkpoint.keep_checkpoint_max) == ("two", 9)


def test_base_files_that_are_missing_or_circular(tmp_path: Path) -> None:
    assert "a.yaml:1: base_config: 'none.yaml', expected a YAML file" in error_of(
        write(tmp_path / "a.yaml", "base_config: none.yaml\n")
    )
    write(tmp_path / "b.yaml", "base_config: c.yaml\n")
    assert "builds on itself" in error_of(write(tmp_path / "c.yaml", "base_config: b.yaml\n"))


def test_overrides_are_read_by_the_type_of_the_key(tmp_path: Path) -> None:
    overrides = [
        ("optimizer.learning_rate", "2e-5"),
        ("trainer.model_name", "7"),
        ("train_dataset.input_columns", "input_ids,labels"),
        ("callbacks.CheckpointMonitor.save_checkpoint_steps", "4"),
        ("context.jit_config.jit_level", "O0"),
        ("resume_training", "a_rank_0-1_2.ckpt"),
        ("output_dir", "x=y: z"),
        ("seed", "1"),
        ("seed", "2"),
    ]
    config = load_config(write(tmp_path / "a.yaml", "context: {jit_config: {jit_level: O2}}\n"), overrides)
    assert config.optimizer.learning_rate == 2e-5
    assert config.trainer.model_name == "7"
    assert config.train_dataset.input_columns == ("input_ids", "labels")
    assert config.checkpoint.save_checkpoint_steps == 4
    assert config.context.jit_level == "O0"
    assert config.resume_training == "a_rank_0-1_2.ckpt"
    assert config.output_dir == "x=y: z"
    assert config.seed == 2, "the last one wins"


def test_unknown_keys_name_line_and_neighbour(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "seed: 1\noptimizer:\n  learning_rte: 1e-5\n")
    assert error_of(path).endswith("a.yaml:3: optimizer.learning_rte: unknown key; did you mean learning_rate?")
    path = write(tmp_path / "a.yaml", "batch_size: 4\n")
    assert error_of(path).endswith("a.yaml:1: batch_size: unknown key; did you mean runner_config.batch_size?")
    path = write(tmp_path / "a.yaml", "seed: 1\n")
    expected = "--optimizer.bta1: unknown key; did you mean beta1?"
    assert error_of(path, ("optimizer.bta1", "0.9")) == expected
    assert "unknown key" in error_of(path, ("entirely.wrong", "x"))


def test_wrong_values_name_the_flag_or_the_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "seed: 1\nrunner_config:\n  epochs: 0\n")
    assert error_of(path).endswith("a.yaml:3: runner_config.epochs: 0, expected at least 1")
    assert error_of(path, ("runner_config.epochs", "x")) == "--runner_config.epochs: 'x', expected a whole number"
    assert error_of(path, ("runner_config.epochs", "-2")) == "--runner_config.epochs: -2, expected at least 1"


def test_a_problem_of_a_default_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "model: {model_config: {vocab_size: 2}}\n")
    assert error_of(path) == f"{path}: model.model_config.eos_token_id: 2 is not a row of the table of vocab_size 2"


def test_the_way_back_to_yaml(tmp_path: Path) -> None:
    text = (
        "resume_training: 'a.ckpt'\nseed: 5\nlr_schedule: {learning_rate: 1e-5}\ncontext: {save_graphs: 2}\n"
        "model: {model_config: {eos_token_id: [2, 0], extend_method: YARN, scaling_factor: {factor: 4}}}\n"
        "recompute_config: {select_recompute: [1, 2]}\ncallbacks: [{type: CheckpointMonitor, prefix: 'null'}]\n"
    )
    config = load_config(write(tmp_path / "a.yaml", text))
    assert load_config(write(tmp_path / "b.yaml", yaml.safe_dump(to_dict(config)))) == config
    assert json.loads(json.dumps(to_dict(config))) == to_dict(config)


def test_run_mode_alone(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "run_mode: predict\n")
    assert read_run_mode(write(tmp_path / "a.yaml", "base_config: base.yaml\nno_such_key: 1\n")) == "predict"
    assert read_run_mode(write(tmp_path / "b.yaml", "seed: 1\n")) == "train"
