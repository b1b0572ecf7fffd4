"""Tokenizers out of GGUF metadata encode as the ones that went in."""

import io
import json
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from gguf import GGUFWriter
from helpers.weights import GOLDEN, finish_gguf
from tokenizers import pre_tokenizers, trainers

from mindcode.checkpoint.gguf_tokenizer import write_gguf_tokenizer
from mindcode.data.tokenizer import load_tokenizer

CORPUS = [
    "def add(first, second):\n    return first + second  # 1234 + 5678",
    "The naïve café owner won't count 42 or 4200 stars; she'll wait until 1999.",
    "for index in range(100):\n\tif index % 10 == 0:\n\t\tprint(index)",
] * 20
TEXTS = [
    *CORPUS[:3],
    "",
    " ",
    "  leading and   inner spaces ",
    "12345678901234567890",
    "1 22  333   4444",
    "\n\n\t\r\n",
    "日本語 🤖 ½ ²",
    "<|user|>hello<|end|>",
]
SPECIAL = ["<|none|>", "<|user|>", "<|end|>"]


def byte_level(split: pre_tokenizers.PreTokenizer | None) -> tokenizers.Tokenizer:
    """A small byte-level BPE, trained here."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte]) if split else byte
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def write_byte_level(path: Path, tokenizer: tokenizers.Tokenizer, pre: str) -> None:
    state = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].__getitem__)
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in state["merges"]])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(pre == "llama-bpe")
    writer.add_chat_template("{{ messages[0]['content'] }}<|end|>")
    finish_gguf(writer)


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "default"])
def test_byte_level_tokenizers_encode_as_before(tmp_path: Path, pre: str) -> None:
    digits = pre_tokenizers.Digits(individual_digits=True) if pre == "smollm" else None
    original = byte_level(digits)
    write_byte_level(tmp_path / "model.gguf", original, pre)
    assert write_gguf_tokenizer(tmp_path / "model.gguf", tmp_path) == ["tokenizer.json", "tokenizer_config.json"]
    found = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        ids = original.encode(text, add_special_tokens=False).ids
        assert found.encode(text).ids == ids
        assert found.decode(ids, skip_special_tokens=False) == text
    ours = load_tokenizer(tmp_path)
    assert (ours.bos_id, ours.eos_id, ours.unk_id, ours.piece_id("<|end|>")) == (1, 2, 0, 2)
    assert ours.chat_template == "{{ messages[0]['content'] }}<|end|>"


def test_llama3_splits_digits_in_threes_and_begins_with_bos(tmp_path: Path) -> None:
    write_byte_level(tmp_path / "model.gguf", byte_level(None), "llama-bpe")
    write_gguf_tokenizer(tmp_path / "model.gguf", tmp_path)
    found = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert found.encode("a", add_special_tokens=True).ids[0] == 1
    assert load_tokenizer(tmp_path).encode("a") == found.encode("a", add_special_tokens=False).ids
    words = [piece for piece, _ in found.pre_tokenizer.pre_tokenize_str("I'LL pay 1234567 now\n\n  ok")]
    assert words == ["I", "'LL", "Ġpay", "Ġ", "123", "456", "7", "Ġnow", "ĊĊ", "Ġ", "Ġok"]


def test_sentencepiece_tokenizers_encode_as_before(tmp_path: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        model_type="bpe",
        vocab_size=360,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["▁<PRE>", "▁<SUF>"],
        minloglevel=2,
    )
    original = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(original.get_piece_size())
    kinds = ((original.is_unknown, 2), (original.is_control, 3), (original.is_byte, 6), (original.is_unused, 5))
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([original.id_to_piece(i) for i in ids])
    writer.add_token_scores([original.get_score(i) for i in ids])
    named = [next((kind for test, kind in kinds if test(i)), 1) for i in ids]
    writer.add_token_types(
        [4 if original.id_to_piece(i).startswith("▁<") else kind for i, kind in zip(ids, named, strict=True)]
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    finish_gguf(writer)
    assert write_gguf_tokenizer(tmp_path / "model.gguf", tmp_path)[0] == "tokenizer.model"
    found = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    for text in [*TEXTS, "a ▁<PRE> b"]:
        assert found.encode(text) == original.encode(text), text
        assert found.decode(found.encode(text)) == original.decode(original.encode(text))
    assert [(t.bos_id(), t.eos_id(), t.unk_id(), t.pad_id()) for t in (found, original)] == [(1, 2, 0, -1)] * 2
    assert load_tokenizer(tmp_path).eos_id == 2


@pytest.mark.parametrize(("model", "pre"), [("bert", "default"), ("gpt2", "klingon")])
def test_an_unknown_kind_costs_a_warning(tmp_path: Path, model: str, pre: str, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(
        "mindcode.checkpoint.gguf_tokenizer.get_logger",
        lambda: type("Log", (), {"warning": lambda self, text, *values: warnings.append(text % values)})(),
    )
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(["a"])
    finish_gguf(writer)
    assert write_gguf_tokenizer(tmp_path / "model.gguf", tmp_path) == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]
    assert len(warnings) == 1
    assert "unknown name" in warnings[0]


@pytest.mark.weights
def test_the_real_tokenizer_gives_the_ids_of_transformers(tmp_path: Path, smollm2_gguf: Path) -> None:
    write_gguf_tokenizer(smollm2_gguf, tmp_path)
    found = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    expected = json.loads((GOLDEN / "smollm2.json").read_text(encoding="utf-8"))["texts"]
    assert {text: found.encode(text).ids for text in expected} == expected
    # digits stand alone, whatever precedes them
    assert [found.decode([i]) for i in found.encode("x =  2024").ids] == ["x", " =", "  ", "2", "0", "2", "4"]
