"""Jobs end as one: true exit codes, the reason in sight, nobody left behind. The workers here need no MindSpore."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from helpers.launching import Place, ended, wait_for

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_all_is_well(place: Place) -> None:
    code, out, err = ended(place.launch(*place.flags(), "worker.py", "fine", "a word"))
    assert (code, err) == (0, "")
    assert "rank 0 of 2 mode fine a word" in out, "the first worker is heard"
    assert "rank 1" not in out
    assert out.splitlines()[-1] == "mindcode launch: exit code 0"
    assert place.log("worker_1.log") == "rank 1 of 2 mode fine a word\nready\n"
    assert place.left_over() == []


def test_one_worker_is_a_job_too(place: Place) -> None:
    code, out, _ = ended(place.launch(*place.flags(1), "worker.py", "fine"))
    assert code == 0
    assert "rank 0 of 1 mode fine" in out


@pytest.mark.parametrize(
    ("mode", "code", "lines"),
    [
        ("trace", 1, ["rank 1 failed with exit code 1 after", "    RuntimeError: the second worker is broken"]),
        (
            "line",
            2,
            [
                " failed with exit code 2 after",
                " too; the end of log/worker_",
                "    mindcode: error: the file is missing",
            ],
        ),
        ("killed", 137, ["rank 1 was ended by SIGKILL (by hand, or by the system for want of memory)"]),
        ("stubborn", 5, ["rank 1 failed with exit code 5", "log/worker_1.log:"]),
        ("family", 5, ["rank 1 failed with exit code 5"]),
    ],
)
def test_one_that_fails_ends_the_job_with_its_code_and_its_words(
    place: Place, mode: str, code: int, lines: list[str]
) -> None:
    found, _, err = ended(place.launch(*place.flags(), "worker.py", mode))
    assert found == code
    assert all(line in err for line in lines), err
    assert place.left_over() == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_the_launcher_reaches_all(place: Place, number: signal.Signals) -> None:
    launcher = place.launch(*place.flags(), "worker.py", "sleeping")
    place.await_ready()
    launcher.send_signal(number)
    code, _, err = ended(launcher)
    assert code == 128 + number
    assert f"stopped by {number.name}" in err
    assert place.left_over() == []


def test_under_nohup_the_end_of_the_terminal_ends_nothing(place: Place) -> None:
    launcher = place.start(
        ["nohup", sys.executable, "-m", "mindcode", "launch", *place.flags(), "worker.py", "sleeping"]
    )
    place.await_ready()
    launcher.send_signal(signal.SIGHUP)
    launcher.send_signal(signal.SIGTERM)
    code, _, err = ended(launcher)
    assert code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in err


def test_workers_have_time_to_save_and_a_second_signal_ends_it(place: Place) -> None:
    launcher = place.launch(*place.flags(), "worker.py", "polite")
    place.await_ready()
    launcher.send_signal(signal.SIGINT)
    code, out, _ = ended(launcher)
    assert code == 130
    assert "saved before the end" in out, "the first worker is heard to its end"
    assert all("saved before the end" in place.log(f"worker_{rank}.log") for rank in (0, 1))
    shutil.rmtree(place.folder / "log")

    stubborn = place.launch(*place.flags(1), "--stop_seconds", "200", "worker.py", "stubborn")
    place.await_ready(1)
    stubborn.send_signal(signal.SIGINT)
    assert stubborn.stdout
    assert any("the workers have 200 s to save" in line for line in iter(stubborn.stdout.readline, ""))
    stubborn.send_signal(signal.SIGINT)
    assert ended(stubborn)[0] == 130
    assert place.left_over() == []


def test_a_launcher_that_is_killed_takes_its_workers_with_it(place: Place) -> None:
    launcher = place.launch(*place.flags(), "worker.py", "sleeping")
    place.await_ready()
    launcher.kill()
    wait_for(lambda: place.left_over() == [])


def test_logs_can_be_removed_while_the_job_runs(place: Place) -> None:
    launcher = place.launch(*place.flags(), "worker.py", "sleeping")
    place.await_ready()
    shutil.rmtree(place.folder / "log")
    os.kill(place.worker(1), signal.SIGKILL)
    code, _, err = ended(launcher)
    assert code == 137
    assert "rank 1 was ended by SIGKILL" in err


def test_nobody_listening_does_not_leave_workers(place: Place) -> None:
    launcher = place.launch(*place.flags(), "worker.py", "sleeping")
    place.await_ready()
    assert launcher.stdout
    launcher.stdout.close()
    with open(place.folder / "log" / "worker_0.log", "a") as stream:
        stream.write("a line that cannot be shown\n")
    wait_for(lambda: launcher.poll() is not None)
    assert place.left_over() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to launch"),
        (["nowhere.py"], "nowhere.py: no such file in "),
        (["no-such-program"], "no-such-program: neither a .py file nor a program on PATH"),
        (["--worker_num", "0", "worker.py"], "'0', expected a number from 1 up"),
        (["--join", "Maybe", "worker.py"], "'Maybe', expected True or False"),
        (["--worker_num", "8", "--local_worker_num", "3", "worker.py"], "WORKER_NUM 8 is not a multiple of it"),
        (
            ["--worker_num", "8", "--local_worker_num", "4", "--node_rank", "2", "worker.py"],
            "8 / LOCAL_WORKER 4 = 2 nodes; give a number from 0 to 1",
        ),
        (
            ["--worker_num", "2", "--local_worker_num", "1", "--master_addr", "192.0.2.1", "worker.py"],
            "on 192.0.2.1: no address of this machine, but NODE_RANK 0 starts the scheduler",
        ),
        (["--log_dir", "worker.py/log", "worker.py"], "--log_dir worker.py/log: Not a directory; give a folder that"),
        (["--log_dir", "worker.py", "worker.py"], "--log_dir worker.py: is a file; give a folder, new or old"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(place: Place, words: list[str], message: str) -> None:
    code, out, err = ended(place.launch("--master_port", str(place.port), *words))
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]


def test_a_port_that_is_taken_is_said_in_one_line(place: Place) -> None:
    first = place.launch(*place.flags(), "worker.py", "sleeping")
    wait_for(lambda: _listens(place.port))
    code, _, err = ended(place.launch(*place.flags(), "worker.py", "fine"))
    assert code == 2
    assert err.startswith(f"mindcode: error: MASTER_PORT {place.port} on 127.0.0.1: taken, perhaps by another job")
    assert len(err.splitlines()) == 1
    first.terminate()
    assert ended(first)[0] == 143


def _listens(port: int) -> bool:
    """Whether a socket of this machine listens on the port."""
    table = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True).stdout
    return any(f":{port:04X} " in line.split(" 0A ")[0] for line in table.splitlines() if " 0A " in line)
