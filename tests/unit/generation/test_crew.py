"""A leader and its followers in threads, with steps that write down what they are told."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from helpers.letters import Letters

from mindcode.generation.batch import Lane
from mindcode.generation.crew import Crew, message_size, packed_lanes, unpacked_lanes
from mindcode.generation.engine import Scheduler
from mindcode.generation.types import Request, SamplingParams

Told = list[tuple[object, ...]]


class Notes:
    """Steps that predict the same everywhere, and a list of what they were told to do."""

    lanes, lane_tokens = 2, 8

    def __init__(self, batch_size: int, told: Told) -> None:
        self.batch_size, self.told = batch_size, told
        self.reserved = 0

    def reserve(self, tokens: int) -> None:
        self.reserved = tokens

    def prefill(self, lanes: Sequence[Lane]) -> "Foreseen":
        self.told.append((self.reserved, *lanes))
        return Foreseen(len(lanes), self.told)

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> "Foreseen":
        self.told.append((self.reserved, tokens.tolist(), positions.tolist()))
        return Foreseen(len(tokens), self.told)


class Foreseen:
    """Always the same."""

    def __init__(self, count: int, told: Told) -> None:
        self.ids, self.told = np.full(count, 7), told

    def logits(self) -> np.ndarray:
        self.told.append(("logits",))
        return np.tile(np.arange(20.0), (len(self.ids), 1))


class Table:
    """Adds up over threads; everyone waits for everyone."""

    def __init__(self, size: int) -> None:
        self.parts: list[np.ndarray] = [np.zeros(0)] * size
        self.barrier = threading.Barrier(size, timeout=30)

    def add_up(self, index: int, numbers: np.ndarray) -> np.ndarray:
        self.parts[index] = numbers
        self.barrier.wait()
        total = np.asarray(sum(self.parts))
        self.barrier.wait()
        return total


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_followers_do_what_the_leader_does(size: int, do_sample: bool) -> None:
    table, told = Table(size), [Told() for _ in range(size)]
    crews = [Crew(index, lambda numbers, index=index: table.add_up(index, numbers)) for index in range(size)]
    assert [crew.leads for crew in crews] == [index == 0 for index in range(size)]
    followers = [
        threading.Thread(target=crew.follow, args=(lambda batch_size, notes=notes: Notes(batch_size, notes),))
        for crew, notes in zip(crews[1:], told[1:], strict=True)
    ]
    for follower in followers:
        follower.start()
    params = SamplingParams(max_new_tokens=4, do_sample=do_sample)
    requests = [Request(str(length), tuple(range(1, length + 1)), params) for length in (3, 8, 17, 5)]
    for batch_size in (3, 1):  # one engine after another
        steps = crews[0].steps(batch_size, lambda batch_size: Notes(batch_size, told[0]))
        assert len(list(Scheduler(steps, Letters(), (19,), longest=40).run(requests))) == 4
    crews[0].dismiss()
    for follower in followers:
        follower.join(30)
        assert not follower.is_alive()
    assert len(told[0]) > 20 and (("logits",) in told[0]) == do_sample
    assert all(notes == told[0] for notes in told)


def test_lanes_arrive_as_they_were() -> None:
    lanes = [Lane(3, 8, (5, 6, 7)), Lane(0, 0, tuple(range(8)))]
    numbers = packed_lanes(lanes, 8)
    assert unpacked_lanes(numbers, 8) == lanes
    assert len(numbers) + 3 <= message_size(Notes(1, []))


def test_a_crew_may_be_dismissed_before_it_began() -> None:
    table = Table(2)
    follower = threading.Thread(
        target=Crew(1, lambda numbers: table.add_up(1, numbers)).follow, args=(lambda batch_size: 1 / 0,)
    )
    follower.start()
    Crew(0, lambda numbers: table.add_up(0, numbers)).dismiss()
    follower.join(30)
    assert not follower.is_alive()
