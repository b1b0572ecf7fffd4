"""Sends and Receives of different ranks, side by side."""

from mindcode.dryrun.ir import BACKWARD, FORWARD, Collective, Graph, TensorType
from mindcode.dryrun.pairing import unpaired

HIDDEN = TensorType((512, 8192), "Float16")


def graph(*collectives: Collective) -> Graph:
    return Graph({}, {}, dict.fromkeys(collectives, 1))


def send(target: int, tag: int = 0, tensor: TensorType = HIDDEN) -> Collective:
    return Collective("Send", FORWARD, (target,), tensor, tag)


def receive(source: int, tag: int = 0, tensor: TensorType = HIDDEN) -> Collective:
    return Collective("Receive", BACKWARD, (source,), tensor, tag)


def test_both_directions_pair_up() -> None:
    assert unpaired({0: graph(send(8), receive(8)), 8: graph(receive(0), send(0))}) == []


def test_a_gradient_that_is_never_sent_is_named() -> None:
    (line,) = unpaired({0: graph(send(8), receive(8)), 8: graph(receive(0))})
    assert line == "awaited and never sent: Float16 512x8192 from rank 8 to rank 0 (number 0)"


def test_shape_format_and_number_must_be_the_same() -> None:
    wrong = (receive(0, tag=1), receive(0, tensor=TensorType((512, 8192), "Float32")))
    for there in wrong:
        assert len(unpaired({0: graph(send(8)), 8: graph(there)})) == 2


def test_ranks_that_were_not_compiled_do_not_count() -> None:
    assert unpaired({0: graph(send(8)), 4: graph(receive(12))}) == []
