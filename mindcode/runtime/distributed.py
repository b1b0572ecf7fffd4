"""The processes of a run: how many there are, which one this is, and the groups in which they talk.

    world = start_processes()            # World(rank=0, size=1) without msrun
    group = join_group((0, 2), world.rank)
    total = GroupSum(group)(np.array([1.0]))

Groups of one process are never created; a process creates only the groups that it is in. MindSpore's AllReduce on CPUs
goes through sockets; where all processes run on one machine, groups add up through memory instead.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import GlobalComm, create_group, get_group_size, get_rank, init

from mindcode.runtime.cluster import LOCAL_WORKERS
from mindcode.runtime.shared_sum import SharedSum, meet

WORKER_VARIABLES = ("MS_ROLE", "MS_WORKER_NUM")
"""Variables that msrun sets for its workers; without them a process is alone."""


class World(NamedTuple):
    """All processes of the run."""

    rank: int
    size: int


@dataclass(frozen=True)
class Group:
    """Some of the processes, and where this one is among them."""

    name: str
    """MindSpore's name; empty for a group of one."""
    index: int
    size: int
    shared: SharedSum | None = None
    """Sums through memory, where all processes see the same."""


SINGLE = Group("", 0, 1)


def start_processes() -> World:
    """Connect to the other processes that msrun started; a process of its own connects to nothing."""
    if not all(os.environ.get(variable) for variable in WORKER_VARIABLES):
        return World(0, 1)
    init()
    return World(get_rank(), get_group_size())


def join_group(ranks: Sequence[int], rank: int) -> Group:
    """Create the group of `ranks`, which all of them must do; the same ranks make the same group."""
    if len(ranks) == 1:
        return SINGLE
    name = "ranks_" + "_".join(map(str, ranks))
    create_group(name, list(ranks))
    index, size = list(ranks).index(rank), len(ranks)
    return Group(name, index, size, _in_memory(name, index, size) if _on_one_machine() else None)


def world_group(world: World) -> Group:
    """Return the group of all processes that MindSpore itself has; nothing is created."""
    return Group(GlobalComm.WORLD_COMM_GROUP, world.rank, world.size)


def _on_one_machine() -> bool:
    """The launcher says how many processes run here; MindSpore's own msrun does not. NPUs have their own network."""
    here, all_of_them = os.environ.get(LOCAL_WORKERS), os.environ.get("MS_WORKER_NUM")
    return sys.platform == "linux" and here == all_of_them and ms.get_context("device_target") == "CPU"


def _in_memory(name: str, index: int, size: int) -> SharedSum:
    job = ":".join(os.environ[variable] for variable in ("MS_SCHED_HOST", "MS_SCHED_PORT"))
    return meet(f"{job}/{name}", index, size)


def sum_operation(group: Group) -> ops.Primitive:
    """Return x -> the sum of all processes' x, of the same shape and type, as an operation of a graph."""
    shared = group.shared
    if shared is None:
        return ops.AllReduce(group=group.name)

    def add_up(x: np.ndarray) -> np.ndarray:
        return shared(x)

    return ops.Custom(add_up, out_shape=lambda x: x, out_dtype=lambda x: x, func_type="pyfunc")


class Sum(nn.Cell):
    """x -> its sum over the group."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.add_up = sum_operation(group)

    def construct(self, x: Tensor) -> Tensor:
        return self.add_up(x)


def summed_over(group: Group) -> nn.Cell:
    """Return x -> its sum over the group, which in a group of one is x."""
    return Sum(group) if group.size > 1 else nn.Identity()


class GroupSum:
    """Adds a few numbers over a group, on the host: for what is agreed between steps. Waits for the whole group."""

    def __init__(self, group: Group) -> None:
        self._sum = Sum(group) if group.size > 1 else None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the sums, in fp32."""
        if self._sum is None:
            return values
        total: np.ndarray = self._sum(Tensor(values, ms.float32)).asnumpy()
        return total

    def barrier(self) -> None:
        """Return when every process of the group has come here."""
        self(np.zeros(1, np.float32))
