"""The place where processes meet: listened at here, or reached from here. Real sockets of this machine."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.machines import machine

from mindcode.doctor import network
from mindcode.doctor.finding import Status
from mindcode.doctor.needs import Meeting, Needs


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def met(address: str, port: int, node_rank: int | None = None, nodes: int = 1) -> Needs:
    return Needs(worker_num=nodes, local_worker_num=1, meeting=Meeting(address, port, node_rank))


def test_a_free_port_of_this_machine_can_be_listened_at(tmp_path: Path, free: int) -> None:
    finding = network.meeting_place(machine(tmp_path), met("localhost", free))
    assert finding.status is Status.OK and "node 0" in finding.found


def test_a_taken_port_is_a_problem_for_node_0_and_what_another_node_hopes_for(tmp_path: Path, taken: int) -> None:
    assert network.meeting_place(machine(tmp_path), met("127.0.0.1", taken)).status is Status.PROBLEM
    assert network.meeting_place(machine(tmp_path), met("127.0.0.1", taken, node_rank=1, nodes=2)).status is Status.OK


def test_a_port_where_nobody_listens_yet_is_fine(tmp_path: Path, free: int) -> None:
    finding = network.meeting_place(machine(tmp_path), met("127.0.0.1", free, node_rank=1, nodes=2))
    assert finding.status is Status.OK and "before node 0 has started" in finding.found


def test_other_machines_cannot_use_an_address_of_this_machine_only(tmp_path: Path, free: int) -> None:
    finding = network.meeting_place(machine(tmp_path), met("localhost", free, nodes=2))
    assert finding.status is Status.PROBLEM and "other machines" in finding.todo


def test_a_name_that_nobody_knows_is_a_problem(tmp_path: Path) -> None:
    assert network.meeting_place(machine(tmp_path), met("no.such.invalid", 8118)).status is Status.PROBLEM


def test_a_machine_that_does_not_answer_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(address: object, timeout: float) -> socket.socket:
        raise TimeoutError(errno.ETIMEDOUT, "timed out")

    monkeypatch.setattr(socket, "create_connection", silent)
    finding = network.meeting_place(machine(tmp_path), met("127.0.0.1", 8118, node_rank=1, nodes=2))
    assert finding.status is Status.PROBLEM and "firewall" in finding.todo


def test_without_an_address_nothing_is_tried(tmp_path: Path) -> None:
    assert network.meeting_place(machine(tmp_path), Needs()).status is Status.NOT_APPLICABLE


def test_this_machine_has_a_name(tmp_path: Path) -> None:
    assert socket.gethostname() in network.own_name(machine(tmp_path), Needs()).found
