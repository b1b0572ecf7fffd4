"""What goes into the engine and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SamplingParams:
    """How the tokens of one answer are drawn and where the answer ends."""

    max_new_tokens: int = 512
    """Longest answer in tokens."""
    temperature: float = 1.0
    """Divides the logits before sampling."""
    top_k: int = 0
    """Sample among this many most likely tokens; 0 means all."""
    top_p: float = 1.0
    """Sample among the fewest tokens whose probability reaches this."""
    repetition_penalty: float = 1.0
    """Divides (positive) or multiplies (negative) the logits of tokens already present; also when greedy."""
    do_sample: bool = False
    """Sample; False takes the most likely token."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these strings."""


@dataclass(frozen=True)
class Request:
    """One answer to generate."""

    id: str
    prompt_ids: tuple[int, ...]
    params: SamplingParams
    seed: int = 0
    """Alone decides the random draws: batch size, order and resume change nothing."""


@dataclass(frozen=True)
class Completion:
    """One finished answer."""

    id: str
    token_ids: tuple[int, ...]
    """Every token drawn, an end-of-sequence token included."""
    text: str
    """The answer as text, without special tokens, cut before the stop string."""
    finish_reason: str
    """stop (a stop string), eos, or length."""
    prompt_tokens: int


class TextDecoder(Protocol):
    """Turns token ids into text; every tokenizer of data/tokenizer.py does."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, special tokens left out; bytes that are no character (yet) become U+FFFD."""
        ...
