"""The command line of `mindcode dryrun`, without a compilation."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.cli.main import main
from mindcode.dryrun import dry_run
from mindcode.dryrun.job import Answer


@pytest.fixture
def config(repository: Path) -> str:
    return str(repository / "configs/codellama/pretrain_codellama_34b.yaml")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--stage", "2"], "--stage 2: expected all or a number below pipeline_stage 2"),
        (["--layers", "3"], "--layers 3: every one of 2 pipeline stages needs as many"),
        (["--run_mode", "eval", "--eval_dataset_dir", "x"], "run_mode: unknown name 'eval'"),
        (["--use_parallel", "False"], "a dry run of training needs two or more"),
        (["--parallel_config.model_parallel", "16"], "n_kv_heads 8 is not divisible by model_parallel 16"),
    ],
)
def test_bad_input_is_one_line(
    flags: list[str], words: str, config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["dryrun", "--config", config, "--output_dir", str(tmp_path), *flags]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_number_of_layers_is_a_number(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dryrun", "--config", config, "--layers", "many"])
    assert end.value.code == 2
    assert "expected a number of layers or full" in capsys.readouterr().err


def test_a_failure_is_told_and_ends_with_code_1(
    config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer(error="MindSpore's compiler crashed (SIGSEGV) on this graph", trace="last words")
    monkeypatch.setattr(dry_run, "run", lambda jobs, world_size, host_bytes: [answer for _ in jobs])
    flags = ["--output_dir", str(tmp_path), "--layers", "2", "--json", str(tmp_path / "found.json")]
    assert main(["dryrun", "--config", config, *flags]) == 1
    said = capsys.readouterr().out
    assert "stage 0 does not compile: MindSpore's compiler crashed (SIGSEGV) on this graph\n  last words" in said
    assert [stage["rank"] for stage in json.loads((tmp_path / "found.json").read_text())] == [0, 8]


def test_a_folder_is_for_one_dry_run_at_a_time(
    config: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["dryrun", "--config", config, "--output_dir", str(tmp_path), "--layers", "2"]
    codes = []

    def run(jobs: list[object], world_size: int, host_bytes: int) -> list[Answer]:
        codes.append(main(command))
        return [Answer(error="enough") for _ in jobs]

    monkeypatch.setattr(dry_run, "run", run)
    assert main(command) == 1
    assert codes == [2]
    assert "another dry run is at work there; give this one another --output_dir" in capsys.readouterr().err


def test_the_parent_never_imports_mindspore() -> None:
    """It has to be quick, and the stub must not be needed before it is there."""
    modules = ("dryrun.checks", "dryrun.dry_run", "dryrun.table", "cli.dryrun")
    program = "import sys; " + "; ".join(f"import mindcode.{name}" for name in modules)
    subprocess.run([sys.executable, "-c", f"{program}; assert 'mindspore' not in sys.modules"], check=True, timeout=60)
