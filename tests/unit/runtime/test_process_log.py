"""What is read from the log files of processes."""

from pathlib import Path

from mindcode.runtime.process_log import LogFollower, last_words

CHATTER = "[WARNING] DISTRIBUTED(15298,7f408aa86b80,python3.11):2026-11-21 [tcp_comm.cc:485] Connect] Connection 11\n"
TRACE = """Traceback (most recent call last):
  File "train.py", line 9, in <module>
    init()
RuntimeError: worker 1 is the first one timed out
----------------------------------------------------
- C++ Call Stack: (For framework developers)
----------------------------------------------------
mindspore/ccsrc/cluster/topology/meta_server_node.cc:554 UpdateTopoState
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "worker_0.log"
    path.write_text(text)
    return path


def test_whole_lines_arrive_once_and_without_chatter(tmp_path: Path) -> None:
    path = written(tmp_path, CHATTER + "step 1\nste")
    follower = LogFollower(path)
    assert follower.lines() == ["step 1"]
    assert follower.lines() == []
    with open(path, "a") as stream:
        stream.write("p 2\n\nstep 3\n" + CHATTER)
    path.unlink()
    assert follower.lines() == ["step 2", "", "step 3"]


def test_bytes_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b"\xff\xfe\n")
    assert LogFollower(path).lines() == ["��"]


def test_the_last_trace_explains_an_end_without_places_in_mindspore(tmp_path: Path) -> None:
    path = written(tmp_path, "Traceback (most recent call last):\nValueError: caught\n" + CHATTER + TRACE)
    assert last_words(path) == TRACE.splitlines()[:4]


def test_a_long_trace_keeps_its_ends(tmp_path: Path) -> None:
    calls = [f"  call {number}" for number in range(40)]
    found = last_words(written(tmp_path, "\n".join([TRACE.splitlines()[0], *calls, "KeyError: 'x'"])))
    assert len(found) == 15
    assert found[:2] == ["Traceback (most recent call last):", "  ..."]
    assert found[-1] == "KeyError: 'x'"


def test_lines_about_errors_come_before_any_others(tmp_path: Path) -> None:
    text = "step 1\nmindcode: error: the file is missing\nstep 2\n"
    assert last_words(written(tmp_path, text)) == ["mindcode: error: the file is missing"]
    assert last_words(written(tmp_path, "step 1\nstep 2\n")) == ["step 1", "step 2"]
    assert last_words(tmp_path / "removed.log") == ["(somebody has removed it)"]
