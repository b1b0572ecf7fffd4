"""Continuous batching: rows of the batch take prompts as they become free, and give answers as they are finished.

steps = Executor(config, weights, batch_size=32, cache_length=1024, lanes=8)
engine = Engine(steps, config, tokenizer, cache_length=1024)
for completion in engine.generate(requests): ...
"""

from collections import deque
from collections.abc import Iterable, Iterator

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.answer import Answer
from mindcode.generation.batch import Batch, Steps, lanes_of
from mindcode.generation.types import Completion, Request, TextDecoder
from mindcode.utils.errors import UserError


def longest_text(config: ModelConfig) -> int:
    """Return how many tokens a prompt and its answer may have together."""
    return config.seq_length if config.max_new_tokens else min(config.seq_length, config.max_decode_length)


class Engine:
    """Decodes as many answers at once as `steps` have rows; prompt and answer have at most `cache_length` tokens."""

    def __init__(self, steps: Steps, config: ModelConfig, decoder: TextDecoder, cache_length: int) -> None:
        self._scheduler = Scheduler(steps, decoder, config.eos_token_ids, cache_length)
        self._vocab_size = config.vocab_size

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield each completion as soon as it is finished.

        Raises UserError for an empty prompt, one that leaves no room for an answer, and ids outside the vocabulary.
        """
        checked = list(requests)
        for request in checked:
            if not request.prompt_ids or not 0 <= min(request.prompt_ids) <= max(request.prompt_ids) < self._vocab_size:
                raise UserError(
                    f"prompt {request.id!r}: expected one or more token ids below vocab_size {self._vocab_size}; "
                    "does the tokenizer belong to this checkpoint?"
                )
        return self._scheduler.run(checked)


class Scheduler:
    """Decides when waiting requests enter the batch; knows nothing of graphs."""

    def __init__(self, steps: Steps, decoder: TextDecoder, eos_ids: tuple[int, ...], longest: int) -> None:
        self._steps, self._decoder, self._eos_ids, self._longest = steps, decoder, eos_ids, longest

    def run(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield each completion as soon as it is finished.

        Shortest prompts go first, so that the rows of the batch are of similar length and the cache stays short.
        """
        waiting = deque(sorted(requests, key=lambda request: len(request.prompt_ids)))
        for request in waiting:
            self._check_room(request)
        batch = Batch(self._steps, self._longest)
        while waiting or batch.active:
            admitted = self._admit(waiting, batch)
            yield from batch.prefill(admitted) if admitted else batch.decode()

    def _check_room(self, request: Request) -> None:
        if len(request.prompt_ids) >= self._longest:
            raise UserError(
                f"prompt {request.id!r}: {len(request.prompt_ids)} tokens leave no room for an answer within "
                f"{self._longest}; shorten it or raise model.model_config.seq_length"
            )

    def _admit(self, waiting: deque[Request], batch: Batch) -> list[Answer]:
        """Take prompts when they fill a prefill step, when nothing else is left to do, or when rows lie idle.

        A prefill step costs the same with one prompt as with several, an idle row next to nothing.
        """
        count = min(len(batch.free_rows), len(waiting))
        size = self._steps.lane_tokens
        lanes = sum(len(lanes_of(0, waiting[index].prompt_ids, size)) for index in range(count))
        idle = len(batch.free_rows) * 4 >= self._steps.batch_size or count == len(waiting)
        if not count or (lanes < self._steps.lanes and batch.active and not idle):
            return []
        return [self._answer(waiting.popleft()) for _ in range(count)]

    def _answer(self, request: Request) -> Answer:
        return Answer(request, self._decoder, self._eos_ids, self._longest)
