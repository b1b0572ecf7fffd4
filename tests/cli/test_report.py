"""`mindcode report` as it is typed."""

import subprocess
import sys
from pathlib import Path


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "mindcode"), "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_writes_into_the_run_folder_unless_told_otherwise(tmp_path: Path) -> None:
    done = report("--run_dir", str(tmp_path))
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "report.html")
    elsewhere = tmp_path / "sub" / "page.html"
    assert report("--run_dir", str(tmp_path), "--output", str(elsewhere)).returncode == 0
    assert elsewhere.read_text().startswith("<!doctype html>")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = report("--run_dir", str(tmp_path / "gone"))
    assert done.returncode == 2 and "gone: no such run folder" in done.stderr
