"""mindcode doctor on this machine: one line a check, a summary, JSON, true exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.cli.main import main
from mindcode.doctor.checks import CHECKS
from mindcode.doctor.finding import Status

CONFIG = "configs/codellama/finetune_codellama_34b_16p.yaml"


def test_this_machine_is_examined_without_importing_mindspore() -> None:
    """The tests run here, so that nothing but NPUs may be missing."""
    program = "import sys; from mindcode.cli.main import main; code = main(['doctor', '--device_target', 'CPU'])\n"
    program += "assert 'mindspore' not in sys.modules; sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.split("\n\n")[0].splitlines()
    assert len(table) == len(CHECKS)
    assert {line.index(name) for line, name in zip(table, CHECKS, strict=True)} == {len("not applicable  ")}
    assert "0 problem" in done.stdout


def test_a_job_for_npus_is_refused_where_there_are_none(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ASCEND_HOME_PATH", raising=False)
    assert main(["doctor", "--config", str(repository / CONFIG), "--output_dir", str(tmp_path), "--json"]) == 1
    checks = {check.pop("name"): check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert list(checks) == list(CHECKS)
    assert checks["CANN"]["status"] == "problem" and "set_env.sh" in checks["CANN"]["todo"]
    assert checks["cores"]["found"].endswith("for 8 processes")
    assert checks["disk"]["found"].endswith("2024.6 GB for 6 checkpoints")  # 6 x 33.74e9 weights x (2 + 8) bytes
    assert {check["status"] for check in checks.values()} <= {status.value for status in Status}


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--config", "no.yaml"], "no such file"),
        (["--worker_num", "16", "--local_worker_num", "3"], "not a multiple"),
        (["--worker_num", "16", "--local_worker_num", "8", "--node_rank", "2"], "from 0 to 1"),
    ],
)
def test_numbers_that_do_not_fit_are_one_line(flags: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *flags]) == 2
    printed = capsys.readouterr().err
    assert word in printed and printed.count("\n") == 1


@pytest.mark.parametrize("flags", [["--master_port", "70000"], ["--node_rank", "-1"], ["--device_target", "GPU"]])
def test_words_that_are_no_values_end_with_code_2(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *flags])
    assert ended.value.code == 2
