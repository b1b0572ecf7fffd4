"""Output files are continued with the settings that they were begun with, and with no others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.locking import held_by_another

from mindcode.utils.errors import UserError
from mindcode.utils.settings import answered, claimed, settings_path

SETTINGS = {"seed": 1, "stop": ("\n", "\ud800"), "model": {"weights": "ü"}}


def claim(output: Path, settings: Mapping[str, Any]) -> None:
    with claimed(output, settings):
        pass


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A file that was begun."""
    path = tmp_path / "answers.jsonl"
    claim(path, SETTINGS)
    path.write_text("{}\n")
    return path


def test_the_same_settings_continue_the_file(output: Path) -> None:
    before = settings_path(output).read_bytes()
    claim(output, SETTINGS)
    assert settings_path(output).read_bytes() == before
    assert settings_path(output).name == "answers.jsonl.settings.json"


def test_other_settings_are_refused(output: Path) -> None:
    with pytest.raises(UserError, match=r"answers.jsonl was begun with other settings \(seed: 1, now 2\); delete it"):
        claim(output, {**SETTINGS, "seed": 2})


def test_an_empty_file_takes_any_settings(output: Path) -> None:
    output.write_text("")
    claim(output, {**SETTINGS, "seed": 2})
    output.write_text("{}\n")
    claim(output, {**SETTINGS, "seed": 2})


@pytest.mark.parametrize("content", [b"", b'{"seed": 1', b"[]", b"null", b"\xff", b"[" * 5000])
def test_damaged_settings_are_named(output: Path, content: bytes) -> None:
    settings_path(output).write_bytes(content)
    with pytest.raises(UserError, match=r"answers.jsonl.settings.json: damaged; delete it and answers.jsonl"):
        claim(output, SETTINGS)


def test_a_file_of_somebody_else_and_a_folder_are_refused(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_path(output).unlink()
    with pytest.raises(UserError, match=r"exists without answers.jsonl.settings.json: not written by this command"):
        claim(output, SETTINGS)
    monkeypatch.chdir(output.parent)
    for folder in (Path(), output.parent):
        with pytest.raises(UserError, match="is a folder; expected the name of a file"):
            claim(folder, SETTINGS)


def test_one_process_writes_at_a_time(output: Path) -> None:
    """The lock is on the file itself: nothing else lies there, and it ends with the process."""
    names = {path.name for path in output.parent.iterdir()}
    with held_by_another(output), pytest.raises(UserError, match=r"answers.jsonl: another process is writing it; wait"):
        claim(output, SETTINGS)
    claim(output, SETTINGS)
    assert {path.name for path in output.parent.iterdir()} == names


def test_answers_that_are_there_and_a_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a", "sample": 0}\n{"id": "a", "sample": 1}\n{"id": "b", "sam')
    assert answered(path, "id") == {("a", 0), ("a", 1)}
    assert path.read_text().endswith("1}\n")
    path.write_text('{"id": "a", "sample": 0}\n{"id": "a"}\n')
    with pytest.raises(UserError, match=r"answers.jsonl: answer 2 has no 'id' or no 'sample'; delete it"):
        answered(path, "id")
