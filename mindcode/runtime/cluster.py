"""Where the workers of a job run and how they find each other: the environment that MindSpore's `msrun` sets.

    cluster = Cluster(worker_num=16, local_worker_num=8, master_addr="10.0.0.1", node_rank=1)
    cluster.ranks                       # range(8, 16)
    cluster.worker_environment(0)       # {"MS_ROLE": "MS_WORKER", "RANK_ID": "8", "DEVICE_ID": "0", ...}

Nothing here imports MindSpore.
"""

import errno
import os
import socket
from dataclasses import dataclass

from mindcode.utils.errors import UserError

LOCAL_WORKERS = "LOCAL_WORLD_SIZE"
"""The variable that says how many workers run on this machine, under torchrun's name."""
_PATIENCE_SECONDS = 7200


def launched_workers() -> int:
    """Return how many processes the launcher of this one started; 1 when there is none."""
    return int(os.environ.get("MS_WORKER_NUM", "1")) if os.environ.get("MS_ROLE") == "MS_WORKER" else 1


@dataclass(frozen=True)
class Cluster:
    """One job on one or more machines ("nodes") with the same number of workers on each."""

    worker_num: int = 8
    """Workers of the whole job."""
    local_worker_num: int = 8
    """Workers on this machine."""
    master_addr: str = "127.0.0.1"
    """Name or address of the machine with node_rank 0, where the scheduler runs."""
    master_port: int = 8118
    """The scheduler's port there."""
    node_rank: int = 0
    """Which of the machines this is, from 0."""
    time_out: int = 7200
    """Seconds that workers and scheduler wait for each other at the start."""

    def __post_init__(self) -> None:
        """Raise UserError for numbers that do not make a job."""
        nodes, rest = divmod(self.worker_num, self.local_worker_num)
        if rest or nodes < 1:
            raise UserError(
                f"LOCAL_WORKER {self.local_worker_num}: WORKER_NUM {self.worker_num} is not a multiple of it; "
                "every node runs the same number of workers"
            )
        if not 0 <= self.node_rank < nodes:
            raise UserError(
                f"NODE_RANK {self.node_rank}: WORKER_NUM {self.worker_num} / LOCAL_WORKER {self.local_worker_num} = "
                f"{nodes} nodes; give a number from 0 to {nodes - 1}"
            )

    @property
    def single_node(self) -> bool:
        """Whether all workers run on this machine."""
        return self.worker_num == self.local_worker_num

    @property
    def has_scheduler(self) -> bool:
        """Whether the scheduler runs on this machine."""
        return self.node_rank == 0

    @property
    def ranks(self) -> range:
        """The ranks of the workers on this machine."""
        first = self.node_rank * self.local_worker_num
        return range(first, first + self.local_worker_num)

    def scheduler_environment(self) -> dict[str, str]:
        """Return what the scheduler needs besides its surroundings."""
        return {**self._meeting_point(), "MS_ROLE": "MS_SCHED", "RANK_ID": "0"}

    def worker_environment(self, local_rank: int) -> dict[str, str]:
        """Return what the worker number `local_rank` of this machine needs; the same number is its device."""
        rank = str(self.ranks[local_rank])
        own = {"MS_ROLE": "MS_WORKER", "MS_NODE_ID": rank, "RANK_ID": rank, "DEVICE_ID": str(local_rank)}
        return {**self._meeting_point(), **self._unless_set(), **own, LOCAL_WORKERS: str(self.local_worker_num)}

    def _unless_set(self) -> dict[str, str]:
        """Return what a worker needs unless the one who launches has decided otherwise in the surroundings.

        MindSpore lets a process on the CPU wait MS_NODE_TIMEOUT = 30 s for the others in a collective, then it fails;
        but one may compile or write for minutes longer than another. That all are alive is watched here.
        """
        wanted = {"MS_NODE_TIMEOUT": str(_PATIENCE_SECONDS), "OMP_NUM_THREADS": str(self.threads)}
        return {name: value for name, value in wanted.items() if name not in os.environ}

    @property
    def threads(self) -> int:
        """Each worker's share of the cores that this process may use."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_worker_num)

    def _meeting_point(self) -> dict[str, str]:
        return {
            "MS_WORKER_NUM": str(self.worker_num),
            "RANK_SIZE": str(self.worker_num),
            "MS_SCHED_HOST": resolve(self.master_addr),
            "MS_SCHED_PORT": str(self.master_port),
            "MS_TOPO_TIMEOUT": str(self.time_out),
        }


def resolve(host: str) -> str:
    """Return the address of a host name. Raises UserError when nobody knows it."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise UserError(f"MASTER_ADDR {host}: {error.strerror}; give the address of the node with rank 0") from error


def check_port(cluster: Cluster) -> None:
    """Raise UserError when the scheduler could not listen at its place on this machine."""
    family, kind, _, _, place = socket.getaddrinfo(
        resolve(cluster.master_addr), cluster.master_port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
        except OSError as error:
            hint = _BIND_HINTS.get(error.errno or 0, "give another one")
            raise UserError(f"MASTER_PORT {cluster.master_port} on {cluster.master_addr}: {hint}") from error


_BIND_HINTS = {
    errno.EADDRINUSE: "taken, perhaps by another job; every job on a machine needs its own, give another one",
    errno.EADDRNOTAVAIL: "no address of this machine, but NODE_RANK 0 starts the scheduler; give this machine's",
    errno.EACCES: "not allowed; give one above 1023",
}


class SchedulerWatch:
    """Tells from another machine whether the scheduler is gone: it answered once and then several times did not.

    MindSpore's workers notice by themselves too, but late, and one that waits in a collective may not react.
    """

    _CALM_SECONDS, _CONNECT_SECONDS, _MISSES = 5.0, 2.0, 3

    def __init__(self, cluster: Cluster) -> None:
        self._place = (resolve(cluster.master_addr), cluster.master_port)
        self._next, self._answered, self._missed = 0.0, False, 0

    def gone(self, now: float) -> bool:
        """Ask again if it is time to (`now` in seconds, from any zero) and say whether the scheduler is gone."""
        if now >= self._next:
            self._next = now + self._CALM_SECONDS
            alive = self._answers()
            self._answered = self._answered or alive
            self._missed = 0 if alive else self._missed + self._answered
        return self._missed >= self._MISSES

    def _answers(self) -> bool:
        try:
            socket.create_connection(self._place, self._CONNECT_SECONDS).close()
        except OSError:
            return False
        return True
