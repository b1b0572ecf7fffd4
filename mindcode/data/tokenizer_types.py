"""The small values that both kinds of tokenizer return or share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORDY = re.compile(r"^[^\W\d_]|[^\W\d_]$|\s")


@dataclass(frozen=True)
class Encoded:
    """Ids of a text, and for each asked character position the index of the first token that starts there or later."""

    ids: list[int]
    borders: list[int]


def choose_pad_id(pad_id: int | None, eos_id: int | None, unk_id: int | None) -> int:
    """Padding must be told from the end of text, because it is masked in attention: an end that doubles as padding
    is not used; the unknown piece is next, as in MindFormers, then 0."""
    if pad_id is not None and pad_id != eos_id:
        return pad_id
    return unk_id if unk_id is not None else 0


def touch_words(special_pieces: Iterable[str]) -> bool:
    """Whether a special piece begins or ends with a letter or holds a space, so that words may be parts of it."""
    return any(_WORDY.search(piece) for piece in special_pieces)
