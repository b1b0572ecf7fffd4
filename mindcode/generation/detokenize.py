"""Text of an answer while its tokens arrive, and the place where a stop string ends it.

A token is not a character: one letter may take three tokens, and sentencepiece drops the blank at the start of what it
decodes. So a few tokens that are already text are decoded again in front of the new ones, and what lies
beyond their text is new; an unfinished character (U+FFFD at the end) waits for its other bytes.
"""

from collections.abc import Sequence

from mindcode.generation.types import TextDecoder

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_OVERLAP = 6
"""Tokens decoded again in front of the new ones."""
_MAX_CHARACTER_TOKENS = 8
"""More tokens than one character can take: what is still unfinished then is not UTF-8 and stays as it is."""


class StreamDecoder:
    """Collects token ids, gives the text that they add to a prompt."""

    def __init__(self, decoder: TextDecoder, prompt_ids: Sequence[int] = ()) -> None:
        self._decoder = decoder
        self._ids = list(prompt_ids[-_OVERLAP:])
        self._read = len(self._ids)
        self.text = ""

    def add(self, token: int) -> str:
        """Append one id; return the text that has become certain."""
        self._ids.append(token)
        start = max(self._read - _OVERLAP, 0)
        after = self._decoder.decode(self._ids[start:])
        if after.endswith(_UNFINISHED) and len(self._ids) - self._read < _MAX_CHARACTER_TOKENS:
            return ""
        new = after[len(self._decoder.decode(self._ids[start : self._read])) :]
        self._read = len(self._ids)
        self.text += new
        return new

    def finish(self) -> str:
        """Return the whole text, an unfinished character at the end included."""
        start = max(self._read - _OVERLAP, 0)
        before = self._decoder.decode(self._ids[start : self._read])
        self.text += self._decoder.decode(self._ids[start:])[len(before) :]
        self._read = len(self._ids)
        return self.text


class StopStrings:
    """Looks for the first stop string in a growing text, reading every character once."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._longest = max((len(word) for word in stop), default=0)
        self._seen = 0

    def find(self, text: str) -> int | None:
        """Return where the earliest stop string begins in `text` (the text of the last call, longer), or None."""
        start = max(self._seen - self._longest + 1, 0)
        self._seen = len(text)
        places = [place for word in self._stop if (place := text.find(word, start)) >= 0]
        return min(places, default=None)
