"""One answer while it grows: its tokens, its text, its random generator, and the rules that end it."""

import numpy as np

from mindcode.generation.detokenize import StopStrings, StreamDecoder
from mindcode.generation.sampling import needs_logits, next_token
from mindcode.generation.types import Completion, Request, TextDecoder


class Answer:
    """Takes predictions one by one until it is finished."""

    def __init__(self, request: Request, decoder: TextDecoder, eos_ids: tuple[int, ...], longest: int) -> None:
        self.request = request
        self.needs_logits = needs_logits(request.params)
        self._eos_ids = eos_ids
        self._room = min(request.params.max_new_tokens, longest - len(request.prompt_ids))
        self._generator = np.random.default_rng(request.seed)
        self._stream = StreamDecoder(decoder, request.prompt_ids)
        self._stop = StopStrings(request.params.stop)
        self._cut: int | None = None
        self._present = list(request.prompt_ids)
        self.tokens: list[int] = []
        self.finish_reason = ""

    @property
    def position(self) -> int:
        """Where the newest token stands in the row."""
        return len(self._present) - 1

    def choose(self, logits_V: np.ndarray) -> int:
        """Draw the next token from `logits_V` [V]."""
        return next_token(logits_V, np.array(self._present), self.request.params, self._generator)

    def add(self, token: int) -> bool:
        """Append a token; return whether the answer is finished."""
        self.tokens.append(token)
        self._present.append(token)
        if token in self._eos_ids:
            self.finish_reason = "eos"
        elif self._stream.add(token) and (place := self._stop.find(self._stream.text)) is not None:
            self._cut, self.finish_reason = place, "stop"
        elif len(self.tokens) >= self._room:
            self.finish_reason = "length"
        return bool(self.finish_reason)

    def completion(self) -> Completion:
        """Return the finished answer."""
        text = self._stream.finish()[: self._cut]
        return Completion(
            self.request.id, tuple(self.tokens), text, self.finish_reason, prompt_tokens=len(self.request.prompt_ids)
        )
