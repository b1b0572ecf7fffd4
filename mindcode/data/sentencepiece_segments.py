"""Sentencepiece faster than sentencepiece: a text is encoded word by word, and words come back.

No piece of a Llama vocabulary has a space after another character, so no token ever spans the border before a space,
and the ids of a text are those of its segments (spaces and the word after them), one after the other. Segments are
encoded once and remembered. `separable` checks that a model allows this; others are encoded whole.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain

import sentencepiece

_SPACE = "▁"
# The first space of each segment is what the model's dummy prefix adds when the rest is encoded on its own.
_SEGMENT = re.compile(" ( *[^ ]+| *$)")
_PROBE = "  a  b\tc\n\n d\u00a0e \ufb01 \u2163 \uff12 \uff76\uff9e e\u0301 \u200bx \U0001f389  "
MAX_CACHED_CHARACTERS = 1 << 24


def separable(model: sentencepiece.SentencePieceProcessor) -> bool:
    """Whether pieces begin at every space that follows another character and text is neither changed nor unknown."""
    pieces = [model.id_to_piece(index) for index in range(model.vocab_size())]
    if any(re.search(f"[^{_SPACE}]{_SPACE}", piece) for piece in pieces):
        return False
    ids = model.encode(_PROBE)
    raw = [bytes([int(pieces[i][1:-1], 16)]) if model.is_byte(i) else pieces[i].encode() for i in ids]
    is_whole = b"".join(raw).decode(errors="replace") == _SPACE + _PROBE.replace(" ", _SPACE)
    return is_whole and not model.is_unknown(model.piece_to_id(_SPACE))


class SegmentEncoder:
    """Encodes text with a separable model; the text is cut at special pieces first, if there are any."""

    def __init__(self, model: sentencepiece.SentencePieceProcessor, specials: Mapping[str, int]) -> None:
        """`specials`: the pieces, with their ids, that are not text."""
        self._model, self._specials = model, {piece: [index] for piece, index in specials.items()}
        self._pattern = re.compile(f"({'|'.join(map(re.escape, specials))})" if specials else "(?!)")
        self._known = dict(self._specials)
        self._characters = 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text: those that `model.encode` gives for its parts, and those of the special pieces."""
        segments = [self._split(text) for text in texts]
        self._learn(set(chain.from_iterable(segments)))
        lookup = self._known.__getitem__
        return [list(chain.from_iterable(map(lookup, group))) for group in segments]

    def _split(self, text: str) -> list[str]:
        if not any(piece in text for piece in self._specials):
            return _segments(text)
        segments: list[str] = []
        for part in self._pattern.split(text):
            if part in self._specials:
                segments.append(part)
            else:
                segments += _segments(part)
        return segments

    def _learn(self, wanted: set[str]) -> None:
        """Make sure that all wanted segments are known, forgetting the others when there are too many."""
        if self._characters > MAX_CACHED_CHARACTERS:
            self._known = dict(self._specials)
            self._characters = 0
        new = list(wanted.difference(self._known))
        self._characters += sum(map(len, new))
        self._known.update(zip(new, self._model.encode(new, num_threads=1), strict=True))
        if "" in wanted:
            self._known[""] = [self._model.piece_to_id(_SPACE)]


def _segments(text: str) -> list[str]:
    """The segments of a text, each without its first space; the beginning counts as having one."""
    if not text:
        return []
    text = text.replace(_SPACE, " ")  # to the model they are the same
    if text[0] != " " and "  " not in text:
        return text.split(" ")
    return _SEGMENT.findall(f" {text}")
