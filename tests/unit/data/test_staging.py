"""A set of files is there as a whole or not at all."""

import json
import os
from pathlib import Path

import pytest

from mindcode.data.staging import Staging
from mindcode.utils.errors import UserError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_appear_together_and_replace_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "a0").write_text("old")
    with Staging(tmp_path / "deep" / "a") as staging:
        (staging.folder / "a").write_text("new")
        staging.commit(remove=[])
    assert names(tmp_path / "deep") == ["a"]
    with Staging(tmp_path / "a") as staging:
        for name in ("a", "a.db"):
            (staging.folder / name).write_text("new")
        assert names(tmp_path) == [".a.staging", "a0", "deep"]
        staging.commit(remove=[tmp_path / "a0"])
    assert names(tmp_path) == ["a", "a.db", "deep"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Staging(tmp_path / "a") as staging:
        (staging.folder / "a").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / ".a.staging").mkdir()
    (tmp_path / ".a.staging" / "a").write_text("half")
    with Staging(tmp_path / "a") as staging:
        assert names(staging.folder) == []


@pytest.mark.parametrize("moved", [0, 1])
def test_moves_that_a_kill_interrupted_are_finished(tmp_path: Path, moved: int) -> None:
    folder = tmp_path / ".a.staging"
    folder.mkdir()
    (tmp_path / "a0").write_text("old")
    for name in ("a", "a.db"):
        (folder / name).write_text("new")
    (folder / "commit.json").write_text(json.dumps({"move": ["a", "a.db"], "remove": ["a0"]}))
    if moved:
        (tmp_path / "a0").unlink()
        os.replace(folder / "a", tmp_path / "a")
    with Staging(tmp_path / "a") as staging:
        assert names(staging.folder) == []
    assert names(tmp_path) == ["a", "a.db"]
    assert (tmp_path / "a").read_text() == "new"


def test_two_processes_do_not_write_the_same_set(tmp_path: Path) -> None:
    message = "another process is writing it"
    with Staging(tmp_path / "a"), pytest.raises(UserError, match=message), Staging(tmp_path / "a"):
        pass
