"""Continuous batching, with a predictor instead of a network that shows every mistake in what a row holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.letters import Letters

from mindcode.generation.batch import Lane
from mindcode.generation.engine import Scheduler
from mindcode.generation.executor import LANE_TOKENS
from mindcode.generation.types import Completion, Request, SamplingParams
from mindcode.utils.errors import UserError

EOS, VOCAB = 0, 97


@dataclass
class Result:
    ids: np.ndarray
    scores: np.ndarray

    def logits(self) -> np.ndarray:
        return self.scores


class Recorder:
    """Keeps ids where a network keeps keys; the next id is a checksum of everything a row may see."""

    lane_tokens = LANE_TOKENS

    def __init__(self, batch_size: int, lanes: int = 3) -> None:
        self.batch_size, self.lanes = batch_size, lanes
        self.rows = np.full((batch_size, 512), -1)
        self.reserved = self.prefills = self.decodes = 0

    def reserve(self, tokens: int) -> None:
        self.reserved = tokens

    def prefill(self, lanes: Sequence[Lane]) -> Result:
        self.prefills += 1
        assert 0 < len(lanes) <= self.lanes
        for lane in lanes:
            assert lane.start % LANE_TOKENS == 0 and lane.start + len(lane.ids) <= self.reserved
            self.rows[lane.row, lane.start : lane.start + LANE_TOKENS] = -2
            self.rows[lane.row, lane.start : lane.start + len(lane.ids)] = lane.ids
        return self._predict([(lane.row, lane.start + len(lane.ids)) for lane in lanes])

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> Result:
        self.decodes += 1
        assert positions.max() < self.reserved
        self.rows[np.arange(self.batch_size), positions] = tokens
        return self._predict([(row, position + 1) for row, position in enumerate(positions)])

    def _predict(self, ends: Sequence[tuple[int, int]]) -> Result:
        ids = np.array([following(self.rows[row, :end]) for row, end in ends])
        scores = np.stack([np.random.default_rng(token).normal(size=VOCAB) for token in ids])
        return Result(ids, scores)


def following(ids: np.ndarray) -> int:
    """A number that depends on every id and its place."""
    assert not len(ids) or ids.min() >= 0 or ids[0] < 0, "an id was seen that belongs to nobody"
    return int((ids * (np.arange(len(ids)) + 3)).sum() * 31 % VOCAB)


def requests(count: int, params: SamplingParams) -> list[Request]:
    generator = np.random.default_rng(11)
    lengths = generator.integers(1, 130, count)
    return [Request(f"p{n}", tuple(generator.integers(1, VOCAB, size)), params, n) for n, size in enumerate(lengths)]


def run(steps: Recorder, wanted: Sequence[Request], letters: Letters, longest: int = 512) -> dict[str, Completion]:
    scheduler = Scheduler(steps, letters, (EOS,), longest)
    done = list(scheduler.run(wanted))
    assert len(done) == len(wanted)
    return {completion.id: completion for completion in done}


def alone(request: Request) -> tuple[int, ...]:
    """What the predictor says when nothing else is in the batch."""
    ids = list(request.prompt_ids)
    for _ in range(request.params.max_new_tokens):
        ids.append(following(np.array(ids)))
        if ids[-1] == EOS:
            break
    return tuple(ids[len(request.prompt_ids) :])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_every_row_sees_its_own_text_and_nothing_else(batch_size: int, letters: Letters) -> None:
    wanted = requests(23, SamplingParams(max_new_tokens=40))
    done = run(Recorder(batch_size), wanted, letters)
    for request in wanted:
        assert done[request.id].token_ids == alone(request)
        assert done[request.id].prompt_tokens == len(request.prompt_ids)
    assert {completion.finish_reason for completion in done.values()} == {"eos", "length"}


def test_rows_are_filled_again_before_the_batch_is_empty(letters: Letters) -> None:
    wanted = requests(40, SamplingParams(max_new_tokens=30))
    steps = Recorder(batch_size=8)
    done = run(steps, wanted, letters)
    tokens = sum(len(completion.token_ids) for completion in done.values())
    assert steps.decodes < 1.5 * tokens / 8
    lanes = sum(-(-len(request.prompt_ids) // LANE_TOKENS) for request in wanted)
    assert steps.prefills < 1.7 * lanes / steps.lanes


@pytest.mark.parametrize("do_sample", [True, False])
def test_batch_size_and_order_change_no_draw(do_sample: bool, letters: Letters) -> None:
    wanted = requests(9, SamplingParams(20, do_sample=do_sample, top_k=20, repetition_penalty=1.1))
    first = run(Recorder(1), wanted, letters)
    assert first == run(Recorder(4), wanted[::-1], letters)
    changed = run(Recorder(4), [replace(request, seed=99) for request in wanted], letters)
    assert (first != changed) == do_sample


def test_the_end_of_text_is_a_token_without_text(letters: Letters) -> None:
    ended = [
        c for c in run(Recorder(4), requests(30, SamplingParams(200)), letters).values() if c.finish_reason == "eos"
    ]
    assert ended and all(completion.token_ids[-1] == EOS for completion in ended)
    assert all(len(completion.text) == len(completion.token_ids) - 1 for completion in ended)


def test_stop_strings_end_and_trim_the_answer(letters: Letters) -> None:
    wanted = requests(9, SamplingParams(30))
    answers = run(Recorder(1), wanted, letters)
    request = max(wanted, key=lambda each: len(answers[each.id].text))
    text = answers[request.id].text
    stop = text[7:9]
    stopped = run(Recorder(1), [replace(request, params=SamplingParams(30, stop=("☺", stop)))], letters)[request.id]
    assert (stopped.text, stopped.finish_reason) == (text[: text.index(stop)], "stop")
    assert len(stopped.token_ids) == text.index(stop) + 2


def test_the_length_counts_the_prompt(letters: Letters) -> None:
    request = Request("long", tuple(range(1, 61)), SamplingParams(500))
    steps = Recorder(1)
    done = run(steps, [request], letters, longest=64)["long"]
    assert (len(done.token_ids), done.finish_reason) == (4, "length")
    assert steps.reserved <= 64


def test_a_prompt_without_room_is_refused_before_anything_runs(letters: Letters) -> None:
    steps = Recorder(1)
    with pytest.raises(UserError, match=r"'long': 64 tokens leave no room for an answer within 64"):
        run(steps, [Request("long", tuple(range(64)), SamplingParams())], letters, longest=64)
    assert steps.prefills == 0
