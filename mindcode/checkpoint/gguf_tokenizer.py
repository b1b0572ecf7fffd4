"""The tokenizer inside a GGUF file -> the files that load_tokenizer and transformers read.

Kind "gpt2" (byte-level BPE) becomes tokenizer.json, kind "llama" (sentencepiece) tokenizer.model; both come with a
tokenizer_config.json that names the special tokens and holds the chat template.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from mindcode.checkpoint.gguf_file import read_gguf
from mindcode.checkpoint.wire import FIXED32, encode_varint, integer_field, span_field
from mindcode.utils.atomic import atomic_open, atomic_path
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import write_json
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import lookup

_UNKNOWN, _CONTROL, _USER, _BYTE = 2, 3, 4, 6
_LLAMA3_WORDS = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",  # English endings
        r"[^\r\n\p{L}\p{N}]?\p{L}+",  # a word, with one character before it
        r"\p{N}{1,3}",  # up to three digits
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",  # signs, with the line ends after them
        r"\s*[\r\n]+|\s+(?!\S)|\s+",  # white space
    )
)


@dataclass(frozen=True)
class _Vocabulary:
    """The `tokenizer.ggml.*` metadata."""

    kind: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float]
    merges: list[str]
    special: dict[str, int]
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    chat_template: str | None
    length: int


def write_gguf_tokenizer(path: Path, folder: Path) -> list[str]:
    """Write the tokenizer of the GGUF file `path` into `folder`; return the names of the files.

    A kind that is not known here costs a warning, not the conversion: any tokenizer of the same vocabulary serves.
    """
    vocabulary = _read(path)
    try:
        write = lookup(_WRITERS, vocabulary.kind, f"{path}: tokenizer.ggml.model")
        name = write(vocabulary, folder)
    except UserError as error:
        get_logger().warning(
            "no tokenizer written: %s; put tokenizer.json or tokenizer.model beside the weights", error
        )
        return []
    write_json(folder / "tokenizer_config.json", _config(vocabulary))
    return [name, "tokenizer_config.json"]


def _read(path: Path) -> _Vocabulary:
    data = read_gguf(path).metadata

    def get(key: str, default: Any) -> Any:
        return data.get(f"tokenizer.ggml.{key}", default)

    tokens = get("tokens", [])
    ids = {"bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id", "pad": "padding_token_id"}
    special = {name: get(key, None) for name, key in ids.items()}
    sentencepiece = get("model", "") == "llama"
    return _Vocabulary(
        kind=get("model", "none"),
        pre=get("pre", "default"),
        tokens=tokens,
        types=get("token_type", [1] * len(tokens)),
        scores=get("scores", [0.0] * len(tokens)),
        merges=get("merges", []),
        special={name: index for name, index in special.items() if index is not None and index < len(tokens)},
        add_bos=get("add_bos_token", sentencepiece),
        add_eos=get("add_eos_token", False),
        add_space_prefix=get("add_space_prefix", True),
        chat_template=data.get("tokenizer.chat_template"),
        length=data.get("llama.context_length", 2048),
    )


def _smollm() -> Any:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _llama3() -> Any:
    words = pre_tokenizers.Split(Regex(_LLAMA3_WORDS), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _gpt2() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


_PRE_TOKENIZERS: dict[str, Callable[[], Any]] = {
    "smollm": _smollm,
    "llama-bpe": _llama3,
    "llama3": _llama3,
    "gpt-2": _gpt2,
    "default": _gpt2,
}
# these vocabularies hold whole words that their merges do not reach
_WHOLE_WORDS = ("llama-bpe", "llama3")


def _write_byte_level(vocabulary: _Vocabulary, folder: Path) -> str:
    split = lookup(_PRE_TOKENIZERS, vocabulary.pre, "tokenizer.ggml.pre")
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in vocabulary.merges)]
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(BPE(vocab=ids, merges=merges, ignore_merges=vocabulary.pre in _WHOLE_WORDS))
    tokenizer.pre_tokenizer = split()
    tokenizer.decoder = decoders.ByteLevel()
    pairs = list(zip(vocabulary.tokens, vocabulary.types, strict=True))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in pairs if k == _CONTROL])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t, k in pairs if k == _USER])
    if vocabulary.add_bos and "bos" in vocabulary.special:
        bos = vocabulary.special["bos"]
        token = vocabulary.tokens[bos]
        template = processors.TemplateProcessing(
            single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, bos)]
        )
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    with atomic_open(folder / "tokenizer.json") as stream:
        stream.write(tokenizer.to_str(pretty=True))
    return "tokenizer.json"


def _write_sentencepiece(vocabulary: _Vocabulary, folder: Path) -> str:
    """Write sentencepiece's ModelProto; GGUF took its pieces, scores and types over unchanged."""
    with atomic_path(folder / "tokenizer.model") as temporary, open(temporary, "wb") as stream:
        for row in zip(vocabulary.tokens, vocabulary.scores, vocabulary.types, strict=True):
            stream.write(span_field(1, _piece(*row)))
        stream.write(span_field(2, _trainer_spec(vocabulary)))
        # no rewriting of characters; a leading space as the model was trained with; spaces as they are, shown as ▁
        normalizer = span_field(1, b"identity") + integer_field(3, vocabulary.add_space_prefix)
        stream.write(span_field(3, normalizer + integer_field(4, 0) + integer_field(5, 1)))
    return "tokenizer.model"


def _piece(token: str, score: float, kind: int) -> bytes:
    number = encode_varint(2 << 3 | FIXED32) + struct.pack("<f", score)
    return span_field(1, token.encode()) + number + integer_field(3, kind)


def _trainer_spec(vocabulary: _Vocabulary) -> bytes:
    fields = [(3, 2), (4, len(vocabulary.tokens)), (35, int(_BYTE in vocabulary.types))]  # BPE, size, byte fallback
    unknown = vocabulary.types.index(_UNKNOWN) if _UNKNOWN in vocabulary.types else 0
    named = {40: unknown, 41: vocabulary.special.get("bos"), 42: vocabulary.special.get("eos")}
    absent = (1 << 64) - 1  # -1: no such piece
    fields += [(number, absent if index is None else index) for number, index in named.items()]
    fields.append((43, absent))
    return b"".join(integer_field(number, value) for number, value in fields)


_WRITERS: dict[str, Callable[[_Vocabulary, Path], str]] = {
    "gpt2": _write_byte_level,
    "llama": _write_sentencepiece,
}


def _config(vocabulary: _Vocabulary) -> dict[str, Any]:
    sentencepiece = vocabulary.kind == "llama"
    config: dict[str, Any] = {
        "tokenizer_class": "LlamaTokenizer" if sentencepiece else "PreTrainedTokenizerFast",
        "add_bos_token": vocabulary.add_bos,
        "add_eos_token": vocabulary.add_eos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": vocabulary.length,
    }
    if sentencepiece:
        config |= {"legacy": False, "add_prefix_space": vocabulary.add_space_prefix}
    config |= {f"{name}_token": vocabulary.tokens[index] for name, index in vocabulary.special.items()}
    if vocabulary.chat_template:
        config["chat_template"] = vocabulary.chat_template
    return config
