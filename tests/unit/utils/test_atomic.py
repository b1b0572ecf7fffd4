"""A file or folder is whole or absent, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.utils.atomic import atomic_dir, atomic_open


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with atomic_open(target) as stream:
        stream.write("grüße")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "grüße"
    assert os.listdir(target.parent) == ["file.txt"]


def test_an_error_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_open(target, "wb") as stream:
        stream.write(b"new")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("name", [".", "folder", "/proc/file"])
def test_a_place_that_cannot_be_written_is_named_as_the_caller_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(OSError) as raised, atomic_open(Path(name)):
        pass
    assert raised.value.filename == name
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_replaces_the_previous_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("first", "second"):
        with atomic_dir(target) as folder:
            (folder / content).write_text(content)
    assert os.listdir(target) == ["second"]
    assert os.listdir(tmp_path) == ["folder"]


def test_an_error_keeps_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with atomic_dir(target) as folder:
        (folder / "kept").touch()
    with pytest.raises(RuntimeError), atomic_dir(target) as folder:
        raise RuntimeError
    assert os.listdir(target) == ["kept"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_kill_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    program = (
        "import os, signal, sys; from mindcode.utils.atomic import atomic_open\n"
        "with atomic_open(__import__('pathlib').Path(sys.argv[1])) as stream:\n"
        "    stream.write('new'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at a process without a parent to ask for it")
def test_what_a_process_left_that_only_its_parent_remembers_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        left = tmp_path / f".file.txt.{process.pid}.tmp"
        left.touch()
        with atomic_open(target) as stream:
            stream.write("new")
        assert not left.exists()
