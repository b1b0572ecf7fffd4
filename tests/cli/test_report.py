"""`mindcode report` as it is typed."""

import json
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


def test_one_or_two_runs_by_place(tmp_path: Path) -> None:
    for name, passed in (("old", False), ("new", True)):
        (tmp_path / name).mkdir()
        row = {"task_id": "Rust/0", "completion": "x", "passed": passed, "result": "passed" if passed else "failed: y"}
        (tmp_path / name / "samples.jsonl_results.jsonl").write_text(json.dumps(row) + "\n")
        summary = {"configuration": {"task": {"name": "humanevalsynthesize-rust"}}}
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    assert report(old).stdout.strip() == f"{old}/report.html"
    assert "fn has_close_elements" in (tmp_path / "old" / "report.html").read_text(), "the task's own prompt"
    assert report(old, new).stdout.strip() == f"{new}/comparison.html"
    assert 'data-labels="gained"' in (tmp_path / "new" / "comparison.html").read_text()


def test_a_wrong_number_of_runs_is_named(tmp_path: Path) -> None:
    none, three = report(), report(*[str(tmp_path)] * 3)
    assert none.returncode == three.returncode == 2
    assert "0 run folders given" in none.stderr and "3 run folders given" in three.stderr
