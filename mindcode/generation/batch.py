"""The rows of the batch: which answer sits in which, and what a prefill or a decode step does to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mindcode.generation.answer import Answer
from mindcode.generation.types import Completion

MARGIN = 32
"""Positions reserved beyond those in use, so that the cache is not resized at every step."""


@dataclass(frozen=True)
class Lane:
    """A piece of a prompt: ids that stand at positions `start`, ... of `row`."""

    row: int
    start: int
    ids: tuple[int, ...]


class StepResult(Protocol):
    """What a step predicts."""

    @property
    def ids(self) -> np.ndarray:
        """The most likely next ids, [N]."""
        ...

    def logits(self) -> np.ndarray:
        """Return [N, V]."""
        ...


class Steps(Protocol):
    """Runs steps for `batch_size` rows; executor.py has the real ones."""

    batch_size: int
    lanes: int
    """Lanes of a prefill step."""
    lane_tokens: int
    """Most ids in a lane; all lanes of a prompt but its last have so many."""

    def reserve(self, tokens: int) -> None:
        """Make room for `tokens` positions in every row."""
        ...

    def prefill(self, lanes: Sequence[Lane]) -> StepResult:
        """Store the lanes; entry n predicts the token behind the last id of lane n."""
        ...

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> StepResult:
        """Store `tokens` [B] at `positions` [B] of their rows and predict the next ones."""
        ...


def lanes_of(row: int, prompt_ids: Sequence[int], lane_tokens: int) -> list[Lane]:
    """Cut a prompt into lanes."""
    starts = range(0, len(prompt_ids), lane_tokens)
    return [Lane(row, start, tuple(prompt_ids[start : start + lane_tokens])) for start in starts]


class Batch:
    """Answers in their rows. A free row goes through the decode step too: it writes one key that nobody will see."""

    def __init__(self, steps: Steps, longest: int) -> None:
        self._steps, self._longest = steps, longest
        self._answers: dict[int, Answer] = {}

    @property
    def active(self) -> int:
        """Number of rows with an unfinished answer."""
        return len(self._answers)

    @property
    def free_rows(self) -> list[int]:
        """Rows that could take a prompt."""
        return [row for row in range(self._steps.batch_size) if row not in self._answers]

    def prefill(self, admitted: Sequence[Answer]) -> Iterator[Completion]:
        """Put answers into free rows, run their prompts, and draw their first tokens."""
        rows = dict(zip(self.free_rows, admitted, strict=False))
        self._answers |= rows
        self._reserve()
        size = self._steps.lane_tokens
        lanes = [lane for row, answer in rows.items() for lane in lanes_of(row, answer.request.prompt_ids, size)]
        for begin in range(0, len(lanes), self._steps.lanes):
            piece = lanes[begin : begin + self._steps.lanes]
            result = self._steps.prefill(piece)
            ends = {n: lane.row for n, lane in enumerate(piece) if self._is_last(lane)}
            yield from self._advance(result, ends)

    def decode(self) -> Iterator[Completion]:
        """Draw one more token for every answer."""
        self._reserve()
        tokens = np.zeros(self._steps.batch_size, np.int32)
        positions = np.zeros(self._steps.batch_size, np.int32)
        for row, answer in self._answers.items():
            tokens[row], positions[row] = answer.tokens[-1], answer.position
        result = self._steps.decode(tokens, positions)
        yield from self._advance(result, {row: row for row in self._answers})

    def _is_last(self, lane: Lane) -> bool:
        return lane.start + len(lane.ids) == len(self._answers[lane.row].request.prompt_ids)

    def _reserve(self) -> None:
        used = max(answer.position + 1 for answer in self._answers.values())
        self._steps.reserve(min(used + MARGIN, self._longest))

    def _advance(self, result: StepResult, rows: dict[int, int]) -> Iterator[Completion]:
        """Give every row of `rows` (entry of the result -> row) its next token; free those that are finished."""
        ids = result.ids
        wanted = any(self._answers[row].needs_logits for row in rows.values())
        logits = result.logits() if wanted else None
        for entry, row in rows.items():
            answer = self._answers[row]
            token = int(ids[entry]) if logits is None or not answer.needs_logits else answer.choose(logits[entry])
            if answer.add(token):
                del self._answers[row]
                yield answer.completion()
