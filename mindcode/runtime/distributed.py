"""The processes of a run: how many there are, which one this is, and the groups in which they talk.

    world = start_processes()            # World(rank=0, size=1) without msrun
    group = join_group((0, 2), world.rank)
    total = GroupSum(group)(np.array([1.0]))

Groups of one process are never created; a process creates only the groups that it is in.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import create_group, get_group_size, get_rank, init

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
    return Group(name, list(ranks).index(rank), len(ranks))


class _Sum(nn.Cell):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(group=name)

    def construct(self, values: Tensor) -> Tensor:
        return self.all_reduce(values)


class GroupSum:
    """Adds a few numbers over a group, on the host: for what is agreed between steps. Waits for the whole group."""

    def __init__(self, group: Group) -> None:
        self._sum = _Sum(group.name) if group.size > 1 else None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the sums, in fp32."""
        if self._sum is None:
            return values
        total: np.ndarray = self._sum(Tensor(values, ms.float32)).asnumpy()
        return total

    def barrier(self) -> None:
        """Return when every process of the group has come here."""
        self(np.zeros(1, np.float32))
