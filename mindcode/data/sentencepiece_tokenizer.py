"""Tokenizers in sentencepiece's own format (`tokenizer.model`), as Llama and Code Llama have them.

`encode_with_specials` is what the slow Llama tokenizer of Hugging Face and MindFormers does in its legacy behaviour:
the text is cut at `<unk>`, `<s>`, `</s>` and the model's other control pieces, and every part between them is encoded
on its own, dummy prefix included.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import sentencepiece

from mindcode.data.sentencepiece_segments import SegmentEncoder, separable
from mindcode.data.tokenizer_files import TokenizerFiles
from mindcode.data.tokenizer_types import Encoded, choose_pad_id, touch_words
from mindcode.utils.errors import UserError

_SPACE = "▁"


class SentencePieceTokenizer:
    """A sentencepiece model behind the Tokenizer protocol (see tokenizer.py)."""

    def __init__(self, files: TokenizerFiles) -> None:
        model = sentencepiece.SentencePieceProcessor()
        try:
            model.Load(str(files.path))
        except (RuntimeError, OSError) as error:
            raise UserError(f"{files.path}: not a sentencepiece model ({' '.join(str(error).split())})") from error
        self._model = model
        self.vocab_size: int = model.vocab_size()
        self.unk_id: int | None = _present(model.unk_id())
        self.bos_id = self._named(files.bos_piece, _present(model.bos_id()))
        self.eos_id = self._named(files.eos_piece, _present(model.eos_id()))
        self.pad_id = choose_pad_id(self._named(files.pad_piece, _present(model.pad_id())), self.eos_id, self.unk_id)
        self.adds_bos = self.bos_id is not None and files.add_bos is not False
        self.chat_template = files.chat_template
        self.bos_piece, self.eos_piece = self._spelling(self.bos_id), self._spelling(self.eos_id)
        ids = range(self.vocab_size)
        self._special = {model.id_to_piece(i): i for i in ids if model.is_control(i) or model.is_unknown(i)}
        self._special_ids = frozenset(self._special.values())
        self._special_pattern = re.compile(f"({'|'.join(map(re.escape, self._special))})")
        is_separable = separable(model)
        self._segments = SegmentEncoder(model, {}) if is_separable else None
        self._special_segments = SegmentEncoder(model, self._special) if is_separable else None
        self._widths = np.array([_width(model.id_to_piece(i), model.is_byte(i)) for i in ids])

    def encode(self, text: str) -> list[int]:
        """See Tokenizer.encode."""
        return list(self._model.encode(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """See Tokenizer.encode_batch."""
        if self._segments is None:
            return list(self._model.encode(list(texts), num_threads=1))
        return self._segments.encode(texts)

    def encode_with_specials(self, text: str) -> list[int]:
        """See Tokenizer.encode_with_specials."""
        return self.encode_batch_with_specials([text])[0]

    def encode_batch_with_specials(self, texts: Sequence[str]) -> list[list[int]]:
        """See Tokenizer.encode_batch_with_specials."""
        if self._special_segments is not None:
            return self._special_segments.encode(texts)
        return [_joined(groups) for groups in self._encode_parts([self._split(text) for text in texts])]

    def encode_with_borders(self, texts: Sequence[str], borders: Sequence[Sequence[int]]) -> list[Encoded]:
        """See Tokenizer.encode_with_borders."""
        parts = [self._split(text) for text in texts]
        encoded = self._encode_parts(parts)
        return [
            Encoded(_joined(groups), self._borders(text_parts, groups, wanted))
            for text_parts, groups, wanted in zip(parts, encoded, borders, strict=True)
        ]

    def word_joint(self) -> str | None:
        """See Tokenizer.word_joint: the dummy prefix of the later part is the space."""
        return None if self._special_segments is None or touch_words(self._special) else ""

    def decode(self, ids: Sequence[int]) -> str:
        """See Tokenizer.decode."""
        kept = [int(i) for i in ids if i < self.vocab_size and i not in self._special_ids]
        return str(self._model.decode(kept))

    def piece_id(self, piece: str) -> int | None:
        """See Tokenizer.piece_id."""
        found = self._model.piece_to_id(piece)
        return found if self._model.id_to_piece(found) == piece else None

    def _named(self, piece: str | None, default: int | None) -> int | None:
        found = self.piece_id(piece) if piece else None
        return default if found is None else found

    def _spelling(self, piece_id: int | None) -> str | None:
        return None if piece_id is None else str(self._model.id_to_piece(piece_id))

    def _split(self, text: str) -> list[str]:
        """Cut at special pieces; they are parts of their own, empty parts are left out."""
        if not any(piece in text for piece in self._special):
            return [text]
        return [part for part in self._special_pattern.split(text) if part] or [text]

    def _encode_parts(self, parts: list[list[str]]) -> Iterator[list[list[int]]]:
        """Encode the plain parts of all texts in one call; yield each text's ids, part by part."""
        plain = iter(self.encode_batch([part for group in parts for part in group if part not in self._special]))
        for group in parts:
            yield [[self._special[part]] if part in self._special else next(plain) for part in group]

    def _borders(self, parts: list[str], groups: list[list[int]], wanted: Sequence[int]) -> list[int]:
        starts, position = [], 0
        for part, ids in zip(parts, groups, strict=True):
            starts.append(position + (np.zeros(1, np.int64) if part in self._special else self._starts(part, ids)))
            position += len(part)
        return [int(index) for index in np.searchsorted(np.concatenate(starts), wanted)]

    def _starts(self, part: str, ids: list[int]) -> np.ndarray:
        """Character where each token of a plain part starts, from the pieces' widths; the dummy prefix has none.

        A model that normalises its input has pieces whose widths do not add up to the text's; its tokens are then
        counted by encoding the part's beginnings.
        """
        ends = np.cumsum(self._widths[np.array(ids, np.intp)])
        size = len(part.encode())
        if len(ends) == 0 or ends[-1] != size + 1:
            return self._starts_by_prefixes(part, len(ids))
        byte_starts = np.concatenate([[0], ends[:-1] - 1])
        if size == len(part):
            return byte_starts
        return np.repeat(np.arange(len(part)), [len(char.encode()) for char in part])[byte_starts]

    def _starts_by_prefixes(self, part: str, count: int) -> np.ndarray:
        starts = np.zeros(count, np.int64)
        for position in range(1, len(part)):
            starts[len(self.encode(part[:position])) :] = position
        return starts


def _joined(groups: list[list[int]]) -> list[int]:
    return groups[0] if len(groups) == 1 else [i for ids in groups for i in ids]


def _present(piece_id: int) -> int | None:
    return piece_id if piece_id >= 0 else None


def _width(piece: str, is_byte: bool) -> int:
    """Bytes of text that a piece stands for; `▁` is one space."""
    return 1 if is_byte else len(piece.replace(_SPACE, " ").encode())
