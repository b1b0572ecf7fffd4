"""Checks of the place where the processes of a job meet."""

import errno
import socket

from mindcode.doctor.finding import Finding, not_applicable, ok, problem, refused, warning
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Meeting, Needs
from mindcode.runtime.cluster import Cluster, check_port, resolve
from mindcode.utils.errors import UserError

PATIENCE_SECONDS = 3.0
_NOBODY_YET = (errno.ECONNREFUSED,)
_FIREWALL = "is that machine on, in the same network, and the port open in its firewall?"


def own_name(machine: Machine, needs: Needs) -> Finding:
    """Whether this machine's name has an address; libraries ask for it."""
    name = socket.gethostname()
    try:
        return ok(f"{name} is {socket.gethostbyname(name)}")
    except OSError:
        return warning(f"{name} has no address", f"add a line with its address and {name} to /etc/hosts")


def meeting_place(machine: Machine, needs: Needs) -> Finding:
    """Whether node 0 could listen there, or another node could reach it."""
    if needs.meeting is None:
        return not_applicable("give --master_addr and --master_port")
    try:
        address = resolve(needs.meeting.master_addr)
    except UserError as error:
        return refused(error)
    is_here = _is_here(address) if needs.meeting.node_rank is None else needs.meeting.node_rank == 0
    return _can_listen(needs) if is_here else _can_reach(address, needs.meeting)


def _is_here(address: str) -> bool:
    """Whether `address` belongs to this machine: only then can a socket be bound to it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _can_listen(needs: Needs) -> Finding:
    assert needs.meeting is not None
    address, port = needs.meeting.master_addr, needs.meeting.master_port
    try:
        check_port(Cluster(worker_num=1, local_worker_num=1, master_addr=address, master_port=port))
    except UserError as error:
        return refused(error)
    if needs.nodes > 1 and resolve(address).startswith("127."):
        return problem(f"{address} is this machine only", "give the address under which the other machines know it")
    return ok(f"port {port} of {address} is free on this machine, node 0")


def _can_reach(address: str, meeting: Meeting) -> Finding:
    place = f"{meeting.master_addr}:{meeting.master_port}"
    try:
        socket.create_connection((address, meeting.master_port), PATIENCE_SECONDS).close()
    except OSError as error:
        if error.errno in _NOBODY_YET:
            return ok(f"{place} refuses, as it does before node 0 has started")
        return problem(f"{place}: {error.strerror or 'no answer'}", _FIREWALL)
    return ok(f"{place}: somebody listens there, as when node 0 has started")
