"""Numbers of a job, and what its processes find in their environment."""

import os

import pytest

from mindcode.runtime.cluster import Cluster, resolve
from mindcode.utils.errors import UserError


def test_ranks_of_a_node() -> None:
    cluster = Cluster(worker_num=16, local_worker_num=8, master_addr="127.0.0.1", node_rank=1)
    assert cluster.ranks == range(8, 16)
    assert (cluster.single_node, cluster.has_scheduler) == (False, False)
    found = cluster.worker_environment(3)
    assert {name: found[name] for name in ("RANK_ID", "MS_NODE_ID", "DEVICE_ID", "RANK_SIZE")} == {
        "RANK_ID": "11", "MS_NODE_ID": "11", "DEVICE_ID": "3", "RANK_SIZE": "16",
    }  # fmt: skip
    assert cluster.scheduler_environment()["MS_ROLE"] == "MS_SCHED"


@pytest.mark.parametrize("workers", [1, 2, 1000])
def test_cores_are_shared_out_unless_the_user_did(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cluster = Cluster(worker_num=workers, local_worker_num=workers)
    share = max(1, len(os.sched_getaffinity(0)) // workers)
    assert cluster.worker_environment(0)["OMP_NUM_THREADS"] == str(share)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in cluster.worker_environment(0)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"worker_num": 6, "local_worker_num": 4}, "WORKER_NUM 6 is not a multiple of it"),
        ({"worker_num": 2, "local_worker_num": 4}, "WORKER_NUM 2 is not a multiple of it"),
        ({"worker_num": 8, "local_worker_num": 4, "node_rank": -1}, "give a number from 0 to 1"),
    ],
)
def test_numbers_that_make_no_job(numbers: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cluster(**numbers)  # type: ignore[arg-type]


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(
        UserError, match=r"MASTER_ADDR no-such-host\.invalid: .*give the address of the node with rank 0"
    ):
        resolve("no-such-host.invalid")
