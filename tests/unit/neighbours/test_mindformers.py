"""The hand-over as far as it goes without MindFormers: what is refused, in one line."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from mindcode.cli.main import main
from mindcode.config.loader import load_config, read_tree
from mindcode.neighbours.mindformers import write
from mindcode.neighbours.translate import translate

ASCEND = Path(__file__).resolve().parents[3] / "configs" / "codellama" / "pretrain_codellama_34b.yaml"


def train(*flags: str) -> int:
    return main(["train", "--config", str(ASCEND), "--engine", "mindformers", *flags])


@pytest.mark.skipif(importlib.util.find_spec("mindformers") is not None, reason="MindFormers is installed here")
def test_without_mindformers_the_extra_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--train_dataset_dir", str(tmp_path), "--output_dir", str(tmp_path / "output")) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mindcode: error: engine: mindformers, but it is not installed; pip install 'mindcode[mindformers]'"
    )
    assert not (tmp_path / "output").exists()


def test_a_cpu_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--train_dataset_dir", str(tmp_path), "--device_target", "CPU") == 2
    assert "engine: mindformers trains on Ascend only" in capsys.readouterr().err


def test_an_unknown_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(ASCEND), "--engine", "mindformer"]) == 2
    assert "did you mean mindformers?" in capsys.readouterr().err


def test_what_is_written_reads_as_what_was_meant(tmp_path: Path) -> None:
    document = translate(load_config(ASCEND), read_tree(ASCEND)).document
    write(document, tmp_path / "mindformers.yaml")
    text = (tmp_path / "mindformers.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == document and text.startswith("# ")
