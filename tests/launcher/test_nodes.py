"""Two machines of a job, here on the loopback address, with MindSpore's processes that add numbers over all of them."""

import signal

from helpers.launching import Place, ended

ADD = """
import os, signal, sys
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import get_rank, init

class Sum(nn.Cell):
    def __init__(self):
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, values):
        return self.all_reduce(values)

ms.set_context(mode=ms.GRAPH_MODE)
ms.set_device("CPU")
init()
rank, add = get_rank(), Sum()
print("sum", add(Tensor([rank + 1.0, 10.0], ms.float32)).asnumpy().tolist(), flush=True)
if sys.argv[1] == "killed":
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    add(Tensor([1.0], ms.float32)).asnumpy()
"""


def both_nodes(place: Place, mode: str, **environment: str) -> list[tuple[int, str, str]]:
    """Launch a job on two nodes with one worker each; exit code and output of both launchers."""
    (place.folder / "add.py").write_text(ADD)
    launchers = [
        place.script(
            f"add.py {mode}", "2", "1", "127.0.0.1", str(place.port), str(node), f"log_{node}", "True", "120",
            **environment,
        )
        for node in (1, 0)
    ]  # fmt: skip
    return [ended(launcher, 400) for launcher in reversed(launchers)]


def test_workers_of_two_nodes_add_their_numbers(place: Place) -> None:
    for node, (code, out, err) in enumerate(both_nodes(place, "fine")):
        assert (code, err) == (0, ""), (out, err)
        assert f"Node {node}: ranks {node} to {node} of 2" in out
        assert "sum [3.0, 20.0]" in out
    assert place.left_over() == []


def test_one_that_dies_ends_both_nodes(place: Place) -> None:
    (code_0, _, err_0), (code_1, _, err_1) = both_nodes(place, "killed", MS_NODE_TIMEOUT="15")
    assert code_1 == 128 + signal.SIGKILL
    assert "rank 1 was ended by SIGKILL" in err_1
    assert code_0 not in (0, 137)
    assert "the scheduler failed" in err_0 or "rank 0 " in err_0
    assert place.left_over() == []
