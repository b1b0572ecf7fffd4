"""The flags of run_mindformer.py, what they set, and what is refused."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mindcode.cli.flags import RunFlags, parse_run_flags
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.utils.errors import UserError

ParseFlags = Callable[..., RunFlags]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text("seed: 1\n")
    return tmp_path / "a.yaml"


@pytest.fixture
def parse(config: Path) -> ParseFlags:
    return lambda *words: parse_run_flags(["--config", str(config), *words], "mindcode train")


def loaded(flags: RunFlags) -> RunConfig:
    return load_config(flags.config, flags.overrides)


def test_flags_set_their_keys(parse: ParseFlags) -> None:
    run = loaded(
        parse(
            *(
                "--mode",
                "0",
                "--device_id",
                "3",
                "--device_target",
                "CPU",
                "--run_mode",
                "finetune",
                "--do_eval",
                "TRUE",
            ),
            *("--train_dataset_dir", "t=1/x", "--eval_dataset_dir", "e", "--predict_batch_size", "4"),
            *("--load_checkpoint", "w.ckpt", "--auto_trans_ckpt", "True", "--only_save_strategy", "false"),
            *("--resume_training", "True", "--seed", "7", "--use_parallel", "false", "--epochs", "3"),
            *("--batch_size", "2", "--gradient_accumulation_steps", "5", "--sink_mode", "False"),
            *("--num_samples", "9", "--output_dir", "o", "--do_sample", "false", "--eval_step_interval", "6"),
        )
    )
    assert (run.context.device_id, run.context.device_target, run.run_mode) == (3, "CPU", "finetune")
    assert (run.do_eval, run.eval_step_interval, run.predict_batch_size) == (True, 6, 4)
    assert (run.train_dataset.data_loader.dataset_dir, run.eval_dataset.data_loader.dataset_dir) == ("t=1/x", "e")
    assert (run.load_checkpoint, run.auto_trans_ckpt, run.only_save_strategy) == ("w.ckpt", True, False)
    assert (run.resume_training, run.seed, run.use_parallel, run.output_dir) == (True, 7, False, "o")
    runner = run.runner_config
    assert (runner.epochs, runner.batch_size, runner.gradient_accumulation_steps, runner.sink_mode) == (3, 2, 5, False)
    assert run.train_dataset.num_samples == run.eval_dataset.num_samples == 9
    assert run.model.model_config.do_sample is False


def test_no_flag_changes_nothing(parse: ParseFlags) -> None:
    assert parse().overrides == ()
    assert loaded(parse()) == RunConfig(seed=1)


def test_dotted_flags_in_both_forms(parse: ParseFlags) -> None:
    flags = parse("--optimizer.learning_rate", "2e-5", "--runner_config.max_steps=-1", "--output_dir=a=b")
    assert flags.overrides == (
        ("output_dir", "a=b"),
        ("optimizer.learning_rate", "2e-5"),
        ("runner_config.max_steps", "-1"),
    )
    assert loaded(flags).optimizer.learning_rate == 2e-5


def test_options_take_values_with_equal_signs_and_booleans(parse: ParseFlags) -> None:
    run = loaded(parse("--options", "train_dataset.data_loader.dataset_dir=a=b", "use_parallel=true", "seed=4"))
    assert (run.train_dataset.data_loader.dataset_dir, run.use_parallel, run.seed) == ("a=b", True, 4)


def test_abbreviations(parse: ParseFlags) -> None:
    assert loaded(parse("--train_dataset", "x")).train_dataset.data_loader.dataset_dir == "x"


def test_resume_from_a_named_checkpoint(parse: ParseFlags) -> None:
    assert loaded(parse("--resume_training", "c_rank_0-1_2.ckpt")).resume_training == "c_rank_0-1_2.ckpt"


def test_prompts_keep_their_line_breaks(parse: ParseFlags) -> None:
    flags = parse("--predict_data", "def f():\\n", "b c", "--seed", "2")
    assert flags.rest.predict_data == ["def f():\n", "b c"]


def test_a_verb_adds_its_own_flags(config: Path) -> None:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--stop", nargs="*")

    flags = parse_run_flags(["--config", str(config), "--stop", "x", "y"], "mindcode predict", add)
    assert flags.rest.stop == ["x", "y"] and flags.overrides == ()


def test_flags_without_effect_are_accepted(parse: ParseFlags, messages: list[str]) -> None:
    flags = parse("--register_path", "x", "--transform_process_num", "2", "--modal_type", "text", "--profile", "false")
    assert flags.overrides == ()
    assert messages == [
        "flags without an effect here: --transform_process_num, --profile, --register_path, --modal_type"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sed", "1"], "--sed: unknown flag; did you mean --seed?"),
        (["--train_dataset_dirs=x"], "--train_dataset_dirs=x: unknown flag; did you mean --train_dataset_dir?"),
        (["stray"], "stray: unknown flag"),
        (["--lr", "3"], "--lr: unknown flag"),
        (["--optimizer.beta1"], "--optimizer.beta1: expected a value, as in --optimizer.beta1 VALUE"),
        (["--optimizer.beta1", "--seed", "1"], "--optimizer.beta1: expected a value"),
        (["--options", "seed"], "--options seed: expected KEY=VALUE"),
    ],
)
def test_refused_words(parse: ParseFlags, words: list[str], message: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(*words)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--do_eval", "yes"], "argument --do_eval: 'yes', expected true or false"),
        (["--epochs", "two"], "argument --epochs: 'two', expected a whole number"),
    ],
)
def test_malformed_values_end_with_code_2(
    parse: ParseFlags, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(*words)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_config_beside_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.yaml").write_text("seed: 5\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "project" / "run_mindcode.py")])
    assert loaded(parse_run_flags(["--config", "a.yaml"], "run_mindcode.py")).seed == 5
    with pytest.raises(UserError, match=r"--config b\.yaml: no such file \(looked in "):
        parse_run_flags(["--config", "b.yaml"], "run_mindcode.py")
