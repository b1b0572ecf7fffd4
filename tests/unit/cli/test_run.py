"""run_mindcode.py hands its arguments to the verb of the run mode."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mindcode.cli import run
from mindcode.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Record which verb is called with what, instead of calling it."""
    calls: list[tuple[str, list[str]]] = []

    def verb(module: str) -> SimpleNamespace:
        return SimpleNamespace(main=lambda argv: calls.append((module, argv)) or 0)

    monkeypatch.setattr(run.importlib, "import_module", verb)
    return calls


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["--run_mode", "finetune"], "mindcode.cli.train"),
        (["--run_mode=predict", "--stop", "x"], "mindcode.cli.predict"),
        (["--run_mode", "eval"], "mindcode.cli.train"),
        (["--config", str(ROOT / "configs/smollm2/predict_smollm2_135m.yaml")], "mindcode.cli.predict"),
        (["--config", str(ROOT / "configs/smollm2/finetune_smollm2_135m.yaml")], "mindcode.cli.train"),
    ],
)
def test_flag_or_file_choose_the_verb(called: list[tuple[str, list[str]]], words: list[str], module: str) -> None:
    assert run.main(words) == 0
    assert called == [(module, words)]


@pytest.mark.parametrize("words", [["--help"], ["--run_mode", "train", "-h"]])
def test_help_is_the_scripts_own_and_holds_the_flags_of_all_modes(
    called: list[tuple[str, list[str]]], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(words) == 0 and called == []
    printed = capsys.readouterr().out
    assert printed.startswith("usage: run_mindcode.py ") and "mindcode train" not in printed
    for flag in ("--config", "--train_dataset_dir", "--input_file", "--max_new_tokens", "--temperature"):
        assert flag in printed


def test_unknown_mode() -> None:
    with pytest.raises(UserError, match="--run_mode: unknown name 'fine'"):
        run.main(["--run_mode", "fine"])


def test_the_script_ends_in_one_line() -> None:
    command = [sys.executable, str(ROOT / "run_mindcode.py"), "--config", "no/such.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("mindcode: error: --config no/such.yaml: no such file")
    assert result.stderr.count("\n") == 1
