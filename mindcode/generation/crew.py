"""Steps of a network that is split over processes: the first one decides, the others do the same.

    crew = Crew(rank, add_up)                      # add_up: array -> its sum over the processes
    if crew.leads:
        steps = crew.steps(batch_size, build)      # build(batch_size) -> this process' own steps, in all processes
        ...                                        # an engine uses them like any others
        crew.dismiss()
    else:
        crew.follow(build)                         # until the leader dismisses the crew

Only the leader has prompts, answers and random numbers; before it takes part in a step it tells the others what the
step is, in one small array of whole numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from mindcode.generation.batch import Lane, StepResult, Steps

Build = Callable[[int], Steps]
AddUp = Callable[[np.ndarray], np.ndarray]


class Order(IntEnum):
    """What the followers are to do."""

    END = 0
    PREFILL = 1
    DECODE = 2
    LOGITS = 3
    """Join the logits of the last step."""


class Crew:
    """This process' place among those that hold the parts of a network; one alone leads nobody."""

    def __init__(self, index: int, add_up: AddUp) -> None:
        self.leads = index == 0
        self._wire = Wire(add_up)
        self._leader: Leader | None = None

    def steps(self, batch_size: int, build: Build) -> Steps:
        """Have all processes build their steps; return those of the leader, which lead the others."""
        self._end_steps()
        self._wire.tell([batch_size], 1)
        self._leader = Leader(build(batch_size), self._wire)
        return self._leader

    def dismiss(self) -> None:
        """Let the followers go."""
        self._end_steps()
        self._wire.tell([0], 1)

    def follow(self, build: Build) -> None:
        """Take part in what the leader does until it dismisses the crew."""
        while batch_size := int(self._wire.hear(1)[0]):
            follow(build(batch_size), self._wire)

    def _end_steps(self) -> None:
        if self._leader is not None:
            self._leader.end()
        self._leader = None


class Wire:
    """Brings whole numbers below 2^24 from the first process to the others, which must expect as many."""

    def __init__(self, add_up: AddUp) -> None:
        self._sum = add_up

    def tell(self, numbers: Sequence[int], size: int) -> None:
        """Send `numbers`, padded to `size`."""
        padded = np.zeros(size, np.float32)
        padded[: len(numbers)] = numbers
        self._sum(padded)

    def hear(self, size: int) -> np.ndarray:
        """Receive `size` numbers."""
        return self._sum(np.zeros(size, np.float32)).astype(np.int32)


class Leader:
    """Steps that tell the followers about each step."""

    def __init__(self, steps: Steps, wire: Wire) -> None:
        self.batch_size, self.lanes, self.lane_tokens = steps.batch_size, steps.lanes, steps.lane_tokens
        self._steps, self._wire, self._size = steps, wire, message_size(steps)
        self._reserved = 0

    def reserve(self, tokens: int) -> None:
        """Make room in this process; the others hear of it with the next step."""
        self._reserved = tokens
        self._steps.reserve(tokens)

    def prefill(self, lanes: Sequence[Lane]) -> StepResult:
        """Run at most `self.lanes` lanes in all processes."""
        self._tell(Order.PREFILL, packed_lanes(lanes, self.lane_tokens))
        return LedResult(self._steps.prefill(lanes), self)

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> StepResult:
        """Run a decode step in all processes."""
        self._tell(Order.DECODE, [*tokens.tolist(), *positions.tolist()])
        return LedResult(self._steps.decode(tokens, positions), self)

    def ask_for_logits(self) -> None:
        """Have the others join the logits of the last step."""
        self._tell(Order.LOGITS, [])

    def end(self) -> None:
        """Tell the others that these steps are over."""
        self._tell(Order.END, [])

    def _tell(self, order: Order, numbers: Sequence[int]) -> None:
        self._wire.tell([order, self._reserved, len(numbers), *numbers], self._size)


@dataclass(frozen=True)
class LedResult:
    """What a step of all processes predicts."""

    own: StepResult
    leader: Leader

    @property
    def ids(self) -> np.ndarray:
        """The most likely next ids, which all processes know."""
        return self.own.ids

    def logits(self) -> np.ndarray:
        """Return [N, V]; of the last step only."""
        self.leader.ask_for_logits()
        return self.own.logits()


def follow(steps: Steps, wire: Wire) -> None:
    """Do the steps of the leader until they are over."""
    size, last = message_size(steps), None
    while True:
        order, reserved, count, *numbers = wire.hear(size).tolist()
        if order == Order.END:
            return
        if order == Order.LOGITS:
            assert last is not None
            last.logits()
            continue
        steps.reserve(reserved)
        if order == Order.PREFILL:
            last = steps.prefill(unpacked_lanes(numbers[:count], steps.lane_tokens))
        else:
            tokens, positions = np.array(numbers[:count], np.int32).reshape(2, -1)
            last = steps.decode(tokens, positions)


def message_size(steps: Steps) -> int:
    """Return how many numbers it takes to tell any step."""
    return 3 + max(steps.lanes * (3 + steps.lane_tokens), 2 * steps.batch_size)


def packed_lanes(lanes: Sequence[Lane], lane_tokens: int) -> list[int]:
    """Return lanes as numbers: row, start, length, and the ids padded to `lane_tokens`."""
    return [
        number
        for lane in lanes
        for number in (lane.row, lane.start, len(lane.ids), *lane.ids, *(0,) * (lane_tokens - len(lane.ids)))
    ]


def unpacked_lanes(numbers: Sequence[int], lane_tokens: int) -> list[Lane]:
    """Return the lanes that were packed."""
    width = 3 + lane_tokens
    pieces = [numbers[start : start + width] for start in range(0, len(numbers), width)]
    return [Lane(row, start, tuple(ids[:length])) for row, start, length, *ids in pieces]
