"""What an NPU needs, on made-up machines from none of it to all of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.machines import CANN, atlas, machine, write

from mindcode.doctor import ascend
from mindcode.doctor.checks import CHECKS
from mindcode.doctor.finding import Status
from mindcode.doctor.machine import Machine, Ran
from mindcode.doctor.needs import Needs

JOB = Needs(
    "Ascend", worker_num=16, local_worker_num=8, output_dir=Path("/mnt/share/run"), process_bytes=45, device_bytes=55
)
FOR_NPUS = [name for name, check in CHECKS.items() if check.only_for_npus]


@pytest.mark.parametrize("name", FOR_NPUS)
def test_all_is_well_on_a_whole_machine(name: str, tmp_path: Path) -> None:
    assert CHECKS[name].finding(atlas(tmp_path), JOB).status is Status.OK


@pytest.mark.parametrize("name", FOR_NPUS)
def test_nothing_of_an_npu_matters_on_a_laptop(name: str, tmp_path: Path) -> None:
    assert CHECKS[name].finding(machine(tmp_path), Needs()).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    "check", [ascend.driver, ascend.npus, ascend.cann, ascend.cann_environment, ascend.cann_packages]
)
def test_each_is_a_problem_where_npus_are_asked_for_and_nothing_is_there(
    check: Callable[[Machine, Needs], object], tmp_path: Path
) -> None:
    finding = check(machine(tmp_path), JOB)
    assert finding.status is Status.PROBLEM and finding.todo  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("9.0.0", Status.OK),
        ("8.5.0", Status.WARNING),
        ("8.3.RC1", Status.WARNING),
        ("8.0.RC3", Status.PROBLEM),
        ("9.1.0", Status.PROBLEM),
        ("", Status.WARNING),
    ],
)
def test_versions_of_cann(version: str, status: Status, tmp_path: Path) -> None:
    finding = ascend.cann(atlas(tmp_path, cann=version), JOB)
    assert finding.status is status and version in finding.found


def test_the_file_that_mindspore_reads_counts_first(tmp_path: Path) -> None:
    here = atlas(tmp_path)
    write(tmp_path, {f"{CANN}/compiler/version.info": "Version=8.5.0\n"})
    assert ascend.cann(here, JOB).found.startswith("8.5.0")


@pytest.mark.parametrize("folder", ["/usr/local/Ascend/ascend-toolkit", "/home/user/Ascend/cann"])
def test_cann_that_the_shell_does_not_know_is_found(folder: str, tmp_path: Path) -> None:
    write(tmp_path, {f"{folder}/set_env.sh": ""})
    finding = ascend.cann(machine(tmp_path, {"HOME": "/home/user"}), JOB)
    assert finding.status is Status.PROBLEM and finding.todo == f"source {folder}/set_env.sh"


def test_a_variable_without_cann_is_named(tmp_path: Path) -> None:
    here = atlas(tmp_path)
    here = replace(here, environment={**here.environment, "PYTHONPATH": "/home/user"})
    assert ascend.cann_environment(here, JOB).found.startswith("PYTHONPATH without")


def test_packages_of_cann_that_are_missing_are_named(tmp_path: Path) -> None:
    here = replace(atlas(tmp_path), module_folder=lambda name: tmp_path if name == "hccl" else None)
    assert ascend.cann_packages(here, JOB).found == "no te"


@pytest.mark.parametrize(
    ("version", "status"), [("25.2.0", Status.WARNING), ("26.0.0", Status.OK), ("[27.1]", Status.OK)]
)
def test_versions_of_the_driver(version: str, status: Status, tmp_path: Path) -> None:
    here = atlas(tmp_path)
    write(tmp_path, {"usr/local/Ascend/driver/version.info": f"Version={version}\n"})
    assert ascend.driver(here, JOB).status is status


def test_npus_are_counted(tmp_path: Path) -> None:
    here = atlas(tmp_path, npus=4)
    assert ascend.npus(here, JOB).status is Status.PROBLEM
    assert ascend.npus(here, replace(JOB, local_worker_num=4)).status is Status.OK
    two = replace(here, environment={**here.environment, "ASCEND_RT_VISIBLE_DEVICES": "0,3"})
    finding = ascend.npus(two, replace(JOB, local_worker_num=4))
    assert finding.status is Status.PROBLEM and "2 of 4" in finding.found


@pytest.mark.parametrize(
    ("ran", "status", "word"),
    [
        (Ran(127, "no such file"), Status.WARNING, "no npu-smi"),
        (
            Ran(1, "DrvMngGetConsoleLogLevel failed\ndcmi module initialize failed. ret is -8005\n"),
            Status.PROBLEM,
            "-8005",
        ),
        (Ran(0, "| 0 910B2 | OK | 90 |\n| 1 910B2 | Alarm | 91 |\n"), Status.WARNING, "1 not healthy (Alarm)"),
    ],
)
def test_what_the_driver_s_tool_says(ran: Ran, status: Status, word: str, tmp_path: Path) -> None:
    finding = ascend.health(machine(tmp_path, programs={"npu-smi": ran}), JOB)
    assert finding.status is status and word in finding.found


def test_a_plan_that_does_not_fit_is_a_problem(tmp_path: Path) -> None:
    assert ascend.device_memory(machine(tmp_path), replace(JOB, process_bytes=56)).status is Status.PROBLEM
    assert ascend.device_memory(machine(tmp_path), replace(JOB, process_bytes=0)).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize("text", ["120", "soon"])
def test_short_patience_is_told_to_jobs_of_several_npus(text: str, tmp_path: Path) -> None:
    here = machine(tmp_path, {"HCCL_CONNECT_TIMEOUT": text})
    assert ascend.patience(here, JOB).status is Status.WARNING
    assert ascend.patience(here, replace(JOB, worker_num=1)).status is Status.NOT_APPLICABLE
