"""Tokenizers in the `tokenizer.json` format of the tokenizers library (SmolLM2, Llama 3, converted GGUF files)."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import tokenizers

from mindcode.data.tokenizer_files import TokenizerFiles
from mindcode.data.tokenizer_types import Encoded, choose_pad_id, touch_words
from mindcode.utils.errors import UserError

# A space, as byte-level and other vocabularies spell it, after anything but white space.
_OVER_WORD_END = re.compile("[^\\sĠĊĉč▁][Ġ▁ ]")
_PROBES = ("def", "a b", "(see über", "x\n\ny = 1", "don't stop", "you are", "привет", "l'été 12 fois", "end")


class JsonTokenizer:
    """A tokenizer.json behind the Tokenizer protocol (see tokenizer.py)."""

    def __init__(self, files: TokenizerFiles) -> None:
        self._with_specials = _load(files)
        self._plain = _load(files)
        self._plain.encode_special_tokens = True
        self.vocab_size: int = self._with_specials.get_vocab_size(with_added_tokens=True)
        self.bos_piece, self.eos_piece = files.bos_piece, files.eos_piece
        self.bos_id, self.eos_id = self._named(files.bos_piece), self._named(files.eos_piece)
        self.unk_id = self._named(files.unk_piece)
        self.pad_id = choose_pad_id(self._named(files.pad_piece), self.eos_id, self.unk_id)
        self.chat_template = files.chat_template
        first = self._with_specials.encode("", add_special_tokens=True).ids[:1]
        by_template = self.bos_id is not None and first == [self.bos_id]
        self.adds_bos = by_template if files.add_bos is None else files.add_bos and self.bos_id is not None

    def encode(self, text: str) -> list[int]:
        """See Tokenizer.encode."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """See Tokenizer.encode_batch."""
        return [found.ids for found in self._plain.encode_batch(list(texts), add_special_tokens=False)]

    def encode_with_specials(self, text: str) -> list[int]:
        """See Tokenizer.encode_with_specials."""
        return list(self._with_specials.encode(text, add_special_tokens=False).ids)

    def encode_batch_with_specials(self, texts: Sequence[str]) -> list[list[int]]:
        """See Tokenizer.encode_batch_with_specials."""
        return [found.ids for found in self._with_specials.encode_batch(list(texts), add_special_tokens=False)]

    def encode_with_borders(self, texts: Sequence[str], borders: Sequence[Sequence[int]]) -> list[Encoded]:
        """See Tokenizer.encode_with_borders."""
        encoded = self._with_specials.encode_batch(list(texts), add_special_tokens=False)
        return [
            Encoded(found.ids, [bisect_left(found.offsets, (border, border)) for border in wanted])
            for found, wanted in zip(encoded, borders, strict=True)
        ]

    def word_joint(self) -> str | None:
        """See Tokenizer.word_joint: no piece reaches over the end of a word, and a few texts say what the joint is."""
        added = [token.content for token in self._with_specials.get_added_tokens_decoder().values()]
        if touch_words(added) or any(map(_OVER_WORD_END.search, self._with_specials.get_vocab())):
            return None
        encode = self.encode_with_specials
        for joint in (" ", ""):
            if all(encode(f"{a} {b}") == encode(a) + encode(joint + b) for a, b in pairwise(_PROBES)):
                return joint
        return None

    def decode(self, ids: Sequence[int]) -> str:
        """See Tokenizer.decode."""
        return str(self._with_specials.decode([int(i) for i in ids if i < self.vocab_size], skip_special_tokens=True))

    def piece_id(self, piece: str) -> int | None:
        """See Tokenizer.piece_id."""
        found: int | None = self._with_specials.token_to_id(piece)
        return found

    def _named(self, piece: str | None) -> int | None:
        return self.piece_id(piece) if piece else None


def _load(files: TokenizerFiles) -> tokenizers.Tokenizer:
    try:
        loaded = tokenizers.Tokenizer.from_file(str(files.path))
    except Exception as error:  # the library raises bare Exception for every kind of broken file
        raise UserError(f"{files.path}: not a tokenizer.json ({' '.join(str(error).split())})") from error
    loaded.no_padding()
    loaded.no_truncation()
    return loaded
