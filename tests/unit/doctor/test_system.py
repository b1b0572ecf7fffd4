"""Cores, memory, disks and limits of made-up machines."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.machines import GB, atlas, machine, write

from mindcode.doctor import system
from mindcode.doctor.finding import Status
from mindcode.doctor.needs import Needs

JOB = Needs("Ascend", worker_num=16, local_worker_num=8, output_dir=Path("/mnt/share/run"))


def test_fewer_cores_than_processes_are_slow(tmp_path: Path) -> None:
    assert system.cores(machine(tmp_path), JOB).status is Status.OK
    assert system.cores(replace(machine(tmp_path), cores=2), JOB).status is Status.WARNING


def test_memory_is_what_is_available_or_what_a_container_may_use(tmp_path: Path) -> None:
    here = atlas(tmp_path)
    assert system.memory(here, JOB).status is Status.OK
    write(tmp_path, {"sys/fs/cgroup/memory.max": f"{8 * GB}\n"})
    finding = system.memory(here, JOB)
    assert finding.status is Status.WARNING and "8.0 GB available, by the container's limit" in finding.found
    assert system.memory(here, Needs(process_bytes=7 * GB)).status is Status.OK
    assert system.memory(here, Needs(process_bytes=9 * GB)).status is Status.PROBLEM
    write(tmp_path, {"sys/fs/cgroup/memory.max": "max\n"})
    assert "container" not in system.memory(here, JOB).found


def test_a_container_with_little_shared_memory_is_told(tmp_path: Path) -> None:
    assert system.shared_memory(atlas(tmp_path), JOB).status is Status.OK
    finding = system.shared_memory(replace(atlas(tmp_path), free_bytes=lambda folder: 64 * 2**20), JOB)
    assert finding.status is Status.WARNING and "--shm-size" in finding.todo
    assert system.shared_memory(atlas(tmp_path), Needs()).status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("free", "checkpoints", "status"),
    [(6, 0, Status.OK), (4, 0, Status.WARNING), (4, 1, Status.OK), (400, 337, Status.PROBLEM)],
)
def test_room_for_checkpoints(free: int, checkpoints: int, status: Status, tmp_path: Path) -> None:
    finding = system.disk(
        machine(tmp_path, free=free * GB), replace(JOB, checkpoint_bytes=checkpoints * GB, checkpoints=3)
    )
    assert finding.status is status and f"{free}.0 GB free" in finding.found


def test_a_run_that_has_begun_needs_room_for_one_more(tmp_path: Path) -> None:
    (tmp_path / "mnt/share/run/checkpoint").mkdir(parents=True)
    job = replace(JOB, checkpoint_bytes=337 * GB, checkpoints=6)
    assert system.disk(machine(tmp_path, free=400 * GB), job).status is Status.OK


def test_a_file_is_no_place_for_output(tmp_path: Path) -> None:
    write(tmp_path, {"mnt/share/run": ""})
    assert system.disk(machine(tmp_path), JOB).status is Status.PROBLEM


def test_a_folder_that_may_not_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert system.disk(machine(tmp_path), JOB).status is Status.PROBLEM
    assert system.compiler_cache(machine(tmp_path), JOB).status is Status.PROBLEM


@pytest.mark.parametrize(
    ("mounts", "status"),
    [
        ("/dev/sda / ext4 rw 0 0\nnas:/share /mnt/share nfs4 rw 0 0\n", Status.OK),
        ("/dev/sda / ext4 rw 0 0\nuser@host: /mnt/share fuse.sshfs rw 0 0\n", Status.OK),
        ("/dev/sda / ext4 rw 0 0\nnas:/share /mnt/sha nfs4 rw 0 0\n", Status.PROBLEM),
        ("nas:/ / nfs4 rw 0 0\n/dev/sda /mnt xfs rw 0 0\n", Status.PROBLEM),
        ("", Status.PROBLEM),
    ],
)
def test_whether_other_machines_see_the_output(mounts: str, status: Status, tmp_path: Path) -> None:
    write(tmp_path, {"proc/mounts": mounts})
    assert system.shared_storage(machine(tmp_path), JOB).status is status
    assert system.shared_storage(machine(tmp_path), Needs()).status is Status.NOT_APPLICABLE


def test_few_open_files_are_told_with_the_command(tmp_path: Path) -> None:
    assert system.limits(machine(tmp_path), JOB).status is Status.OK
    assert system.limits(machine(tmp_path, nofile=1024), Needs()).status is Status.OK
    finding = system.limits(machine(tmp_path, nofile=1024), JOB)
    assert finding.status is Status.WARNING and finding.todo == "ulimit -n 1536"


def test_the_compiler_s_folder_is_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    finding = system.compiler_cache(machine(tmp_path, {"MS_COMPILER_CACHE_PATH": "/mine"}), JOB)
    assert finding.status is Status.OK and finding.found.endswith("/mine")
    assert system.compiler_cache(machine(tmp_path, free=1000), JOB).status is Status.WARNING
