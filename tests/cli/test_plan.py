"""`mindcode plan` as it is typed: tables, JSON, exit codes, and no MindSpore."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.cli.plan import main
from mindcode.utils.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "base")
FINETUNE = CONFIGS / "codellama" / "finetune_codellama_34b_16p.yaml"
BIN = Path(sys.executable).parent


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_has_a_plan(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = as_json(capsys, "--config", str(path))
    ranks = [rank for stage in plan["stages"] for rank in stage["ranks"]]
    assert ranks == list(range(plan["devices"])) == [place["rank"] for place in plan["ranks"]]
    assert (plan["estimate"] is None) == (plan["run_mode"] == "predict" or plan["device_target"] == "CPU")
    assert main(["--config", str(path)]) == 0
    assert "memory in GiB" in capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_fits(path: Path) -> None:
    assert main(["--config", str(path), "--strict"]) == 0


def test_tables_of_34b_on_16_npus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(FINETUNE)]) == 0
    text = capsys.readouterr().out
    assert "33,743,970,304 parameters on 16 devices" in text
    assert "data_parallel 1, model_parallel 8, pipeline_stage 2, sequence parallel" in text
    assert "pipeline bubble 0.8 %" in text
    assert "0-23 (24)" in text
    assert "of max_device_memory 55.00: fits" in text
    assert "an estimate:" in text


def test_the_schema_of_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    plan = as_json(capsys, "--config", str(FINETUNE))
    assert plan["dims"] == {"data_parallel": 1, "model_parallel": 8, "pipeline_stage": 2}
    assert (plan["parameters"], plan["rows"], plan["micro_batches"]) == (33_743_970_304, 128, 128)
    stage = plan["stages"][1]
    assert stage["layers"] == list(range(24, 48))
    parts = {"parameters", "gradients", "optimizer_state", "activations", "other", "update", "total"}
    assert set(stage["memory"]) == parts
    assert set(stage["traffic"][0]) == {
        *("kind", "purpose", "every", "group", "count", "tensor_bytes", "sent_bytes"),
    }
    assert set(plan["estimate"]) == {"step_seconds", "tokens_per_second"}


def test_what_does_not_fit_is_said_and_strict_makes_it_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(FINETUNE), "--context.max_device_memory", "20GB"]
    assert main(arguments) == 0
    assert "DOES NOT FIT" in capsys.readouterr().out
    assert main([*arguments, "--strict"]) == 1


def test_the_picture_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(FINETUNE), "--svg", str(tmp_path / "plan.svg")]) == 0
    assert (tmp_path / "plan.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "memory in GiB" in capsys.readouterr().out


def test_a_search_lists_what_fits_and_how_to_set_it(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(FINETUNE), "--search"]
    assert main([*arguments, "--devices", "32"]) == 0
    text = capsys.readouterr().out
    assert "splits over 32 devices fit; the speed is an estimate" in text
    assert "--parallel_config.model_parallel" in text
    assert main([*arguments, "--json"]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert set(best) == {"settings", "memory", "estimate"}


def test_a_search_without_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(FINETUNE), "--search", "--devices", "2"]
    assert main(arguments) == 0
    assert "splits over 2 devices fits: the leanest needs" in capsys.readouterr().out
    assert main([*arguments, "--strict"]) == 1
    assert main([*arguments[:-1], "100000"]) == 0
    assert "no split over 100000 devices: layers, heads and the 128 rows" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--devices", "4"], ["--search", "--svg", "x.svg"]])
def test_flags_that_do_not_go_together(more: list[str]) -> None:
    with pytest.raises(UserError, match="--search"):
        main(["--config", str(FINETUNE), *more])


def test_bad_degrees_are_one_line() -> None:
    command = [str(BIN / "mindcode"), "plan", "--config", str(FINETUNE), "--parallel_config.model_parallel", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "not divisible by model_parallel 3" in done.stderr


def test_mindspore_is_not_imported() -> None:
    program = (
        "import sys; from mindcode.cli.main import main; "
        f"code = main(['plan', '--config', {str(FINETUNE)!r}]); "
        "sys.exit(code or int('mindspore' in sys.modules or 'numpy' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode == 0
