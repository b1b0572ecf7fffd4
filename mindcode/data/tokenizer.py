"""Text to token ids and back, the same way for a sentencepiece `tokenizer.model` and a `tokenizer.json`.

tokenizer = load_tokenizer(Path("tokenizer.model"))
ids = tokenizer.encode("def f(x):")                    # plain text: "</s>" in it is four characters, not an end
ids = tokenizer.encode_with_specials("<s>[INST] hi")   # a rendered template: special pieces become their ids

None of the encoding methods adds a beginning or an end; `bos_id`, `eos_id` and `adds_bos` are there to do so.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mindcode.data.json_tokenizer import JsonTokenizer
from mindcode.data.sentencepiece_tokenizer import SentencePieceTokenizer
from mindcode.data.tokenizer_files import find_tokenizer
from mindcode.data.tokenizer_types import Encoded

__all__ = ["Encoded", "Tokenizer", "continuation_text", "load_tokenizer"]


class Tokenizer(Protocol):
    """What both kinds of tokenizer can do."""

    @property
    def vocab_size(self) -> int:
        """Number of pieces, added ones included."""

    @property
    def bos_id(self) -> int | None:
        """Begin of text."""

    @property
    def eos_id(self) -> int | None:
        """End of text."""

    @property
    def pad_id(self) -> int:
        """Fills rows: the padding piece unless it is also the end, else the unknown piece, else 0."""

    @property
    def unk_id(self) -> int | None:
        """Unknown piece."""

    @property
    def adds_bos(self) -> bool:
        """Whether text given to the model is meant to begin with `bos_id`."""

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the tokenizer's own chat format."""

    @property
    def bos_piece(self) -> str | None:
        """The text of `bos_id`, for templates."""

    @property
    def eos_piece(self) -> str | None:
        """The text of `eos_id`, for templates."""

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; what looks like a special piece stays text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts at once, faster."""

    def encode_with_specials(self, text: str) -> list[int]:
        """Ids of a rendered template: special pieces in the text (`</s>`, `<|im_end|>`) stand for their ids."""

    def encode_batch_with_specials(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_with_specials` for many texts at once, faster."""

    def encode_with_borders(self, texts: Sequence[str], borders: Sequence[Sequence[int]]) -> list[Encoded]:
        """`encode_with_specials`, and for each character position in `borders` the first token at or after it."""

    def word_joint(self) -> str | None:
        """What stands for a space between two letters where a text is encoded in parts: the ids of `a + " " + b` are
        those of `a` and those of `joint + b`, specials included. None when that is not certain."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; special pieces and ids beyond the vocabulary are left out."""

    def piece_id(self, piece: str) -> int | None:
        """Id of one piece of the vocabulary as it is spelt there ("▁<PRE>", "<|im_end|>"), or None."""


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a sentencepiece model or a tokenizer.json, given as the file or as its folder.

    Neighbours are read when they are there: tokenizer_config.json (begin, end, padding, chat template),
    special_tokens_map.json, chat_template.jinja. Raises UserError for a missing or foreign file.
    """
    files = find_tokenizer(path)
    return JsonTokenizer(files) if files.is_json else SentencePieceTokenizer(files)


def continuation_text(tokenizer: Tokenizer, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
    """Text that `new_ids` add after `prompt_ids`; keeps the leading space that `decode(new_ids)` alone would lose."""
    before = tokenizer.decode(prompt_ids)
    return tokenizer.decode([*prompt_ids, *new_ids])[len(before) :]
