"""scripts/msrun_launcher.sh: positions, defaults, files, and a job in the background."""

import re
import signal

import pytest
from helpers.launching import Place, ended, wait_for

SHOW = """
import os, sys
names = ("MS_ROLE", "MS_WORKER_NUM", "MS_NODE_ID", "RANK_ID", "RANK_SIZE", "DEVICE_ID", "MS_SCHED_HOST",
         "MS_SCHED_PORT", "MS_TOPO_TIMEOUT", "LOG_MF_PATH", "ASCEND_PROCESS_LOG_PATH",
         "MS_NODE_TIMEOUT", "OMP_NUM_THREADS")
print(*(f"{name}={os.environ[name]}" for name in names if name in os.environ))
print(sys.argv[1:])
"""


@pytest.mark.parametrize("count", [0, 3, 4, 5, 7, 8, 10])
def test_the_number_of_arguments_counts(place: Place, count: int) -> None:
    code, _, err = ended(place.script(*["1"] * count))
    assert code == 2
    assert err.startswith("usage: bash scripts/msrun_launcher.sh COMMAND [WORKER_NUM]")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eight"], "argument --worker_num: 'eight'"),
        (["2", "8231", "log", "Perhaps", "60"], "argument --join: 'Perhaps'"),
    ],
)
def test_positions_are_checked(place: Place, words: list[str], message: str) -> None:
    code, _, err = ended(place.script("worker.py fine", *words))
    assert code == 2
    assert message in err


def test_an_environment_that_is_not_active_is_said_to_be_so(place: Place) -> None:
    code, _, err = ended(place.script("worker.py fine", "1", PATH="/usr/bin:/bin"))
    assert code == 127
    assert "mindcode is not on PATH; activate the environment" in err


def test_six_positions_and_the_environment_of_a_worker(place: Place) -> None:
    (place.folder / "show.py").write_text(SHOW)
    settings = {"MF_LOG_SUFFIX": "mine", "PLOG_REDIRECT_TO_OUTPUT": "True", "OMP_NUM_THREADS": "3"}
    command = "show.py --predict_data 'two words' --flag"
    code, _, err = ended(place.script(command, "2", str(place.port), "log", "True", "77", **settings))
    assert (code, err) == (0, "")
    shown = (place.folder / "log_mine" / "worker_1.log").read_text().splitlines()
    assert shown[0].split() == [
        "MS_ROLE=MS_WORKER",
        "MS_WORKER_NUM=2",
        "MS_NODE_ID=1",
        "RANK_ID=1",
        "RANK_SIZE=2",
        "DEVICE_ID=1",
        "MS_SCHED_HOST=127.0.0.1",
        f"MS_SCHED_PORT={place.port}",
        "MS_TOPO_TIMEOUT=77",
        f"LOG_MF_PATH={place.folder}/output/log_mine",
        f"ASCEND_PROCESS_LOG_PATH={place.folder}/output/plog_mine",
        "MS_NODE_TIMEOUT=7200",
        "OMP_NUM_THREADS=3",
    ]
    assert shown[1] == "['--predict_data', 'two words', '--flag']"
    assert (place.folder / "log_mine" / "scheduler.log").exists()


def test_nine_positions_number_the_ranks_of_a_node(place: Place) -> None:
    nine = ["4", "2", "127.0.0.1", str(place.port), "1", "log", "True", "60"]
    code, out, _ = ended(place.script("worker.py fine", *nine))
    assert code == 0
    assert f"Node 1: ranks 2 to 3 of 4, scheduler at 127.0.0.1:{place.port}" in out
    assert sorted(path.name for path in (place.folder / "log").iterdir()) == ["worker_2.log", "worker_3.log"]


def test_the_background_is_the_default_and_can_be_followed(place: Place) -> None:
    code, out, _ = ended(place.script("worker.py trace", "2", str(place.port), "log", "False", "60"))
    assert code == 0
    assert "follow: tail -F log/worker_0.log" in out
    wait_for(lambda: "exit code" in place.log("launcher_0.log"))
    assert "RuntimeError: the second worker is broken" in place.log("launcher_0.log")
    assert place.log("launcher_0.log").splitlines()[-1] == "mindcode launch: exit code 1"
    assert place.left_over() == []


def test_a_job_in_the_background_can_be_stopped_as_it_says(place: Place) -> None:
    _, out, _ = ended(place.script("worker.py sleeping", "2", str(place.port), "log", "False", "60"))
    stop = re.search(r"stop: +(kill \d+)", out)
    assert stop
    place.await_ready()
    assert ended(place.start(["bash", "-c", stop[1]]))[0] == 0
    wait_for(lambda: place.log("launcher_0.log").endswith(f"exit code {128 + signal.SIGTERM}\n"))
    assert place.left_over() == []
