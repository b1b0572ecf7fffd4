"""Both kinds of tokenizer behind the same protocol; the sentencepiece one against the slow Llama tokenizer's ids."""

import json
import random
import shutil
from pathlib import Path

import pytest

from mindcode.data.tokenizer import Tokenizer, continuation_text, load_tokenizer
from mindcode.data.tokenizer_types import choose_pad_id
from mindcode.utils.errors import UserError
from tests.unit.data.conftest import LLAMA_LIKE

LEGACY = json.loads((LLAMA_LIKE.parent / "legacy_llama_ids.json").read_text(encoding="utf-8"))
TEXTS = [case["text"] for case in LEGACY]


@pytest.mark.parametrize("case", LEGACY, ids=lambda case: case["text"][:20])
def test_specials_are_cut_as_the_slow_llama_tokenizer_cuts_them(llama: Tokenizer, case: dict[str, object]) -> None:
    assert llama.encode_with_specials(str(case["text"])) == case["ids"]


def test_a_batch_is_the_same_as_one_by_one(llama: Tokenizer, chat: Tokenizer) -> None:
    for tokenizer in (llama, chat):
        assert tokenizer.encode_batch(TEXTS) == [tokenizer.encode(text) for text in TEXTS]
        assert tokenizer.encode_batch_with_specials(TEXTS) == [tokenizer.encode_with_specials(text) for text in TEXTS]


def test_plain_text_never_becomes_a_special_piece(llama: Tokenizer, chat: Tokenizer) -> None:
    assert llama.eos_id not in llama.encode("a</s>")
    assert llama.encode_with_specials("a</s>")[-1] == llama.eos_id
    assert chat.eos_id not in chat.encode("a<|im_end|>")
    assert chat.encode_with_specials("a<|im_end|>")[-1] == chat.eos_id
    assert chat.decode(chat.encode("a<|im_end|>")) == "a<|im_end|>"


def test_named_pieces(llama: Tokenizer, chat: Tokenizer) -> None:
    assert (llama.bos_id, llama.eos_id, llama.unk_id, llama.pad_id, llama.adds_bos) == (1, 2, 0, 0, True)
    assert (llama.bos_piece, llama.eos_piece, llama.chat_template) == ("<s>", "</s>", None)
    assert (chat.bos_id, chat.eos_id, chat.unk_id, chat.adds_bos) == (1, 2, 0, False)
    assert chat.pad_id == 0, "an end of text that doubles as padding is not used for padding"
    assert chat.chat_template
    assert llama.piece_id("</s>") == 2 and llama.piece_id("▁<PRE>") is None
    assert chat.piece_id("<|im_end|>") == 2 and chat.piece_id("nothing like it") is None


def test_padding_prefers_its_own_piece_then_the_unknown_one() -> None:
    assert choose_pad_id(7, 2, 0) == 7
    assert choose_pad_id(2, 2, 5) == 5
    assert choose_pad_id(None, 2, None) == 0


@pytest.mark.parametrize("text", ["x = 1\n", "héllo 你好 🎉", "  indented\n\tmore"])
def test_decode_gives_the_text_back(llama: Tokenizer, chat: Tokenizer, text: str) -> None:
    for tokenizer in (llama, chat):
        ids = [tokenizer.bos_id or 0, *tokenizer.encode(text), tokenizer.eos_id or 0, tokenizer.vocab_size + 5]
        assert tokenizer.decode(ids) == text


def test_a_continuation_keeps_its_leading_space(llama: Tokenizer) -> None:
    prompt, both = llama.encode("def f():\n"), llama.encode("def f():\n    return 1")
    assert both[: len(prompt)] == prompt
    assert continuation_text(llama, prompt, both[len(prompt) :]) == "    return 1"


def test_borders_are_where_the_text_before_ends(llama: Tokenizer, chat: Tokenizer) -> None:
    text = "USER: héllo 你好 ASSISTANT: fine </s>USER: more <|im_end|>"
    borders = [0, text.index(" fine"), text.index("</s>"), len(text)]
    for tokenizer in (llama, chat):
        found = tokenizer.encode_with_borders([text, ""], [borders, [0]])
        ids, places = found[0].ids, found[0].borders
        assert ids == tokenizer.encode_with_specials(text)
        assert (places[0], places[-1]) == (0, len(ids))
        assert tokenizer.decode(ids[: places[1]]) == text[: borders[1]]
        assert tokenizer.decode(ids[places[1] : places[2]]).strip() == "fine"
        assert found[1].ids == []


def test_borders_without_known_widths_are_counted_by_prefixes(llama: Tokenizer) -> None:
    text = "one (two) three"
    by_width = llama.encode_with_borders([text], [[4, 9]])[0].borders
    starts = llama._starts_by_prefixes(text, len(llama.encode(text)))  # type: ignore[attr-defined]
    assert [int((starts < border).sum()) for border in (4, 9)] == by_width


def test_a_folder_with_both_kinds_gives_the_sentencepiece_one(tmp_path: Path, chat_folder: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(LLAMA_LIKE.read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((chat_folder / "tokenizer.json").read_bytes())
    assert load_tokenizer(tmp_path).bos_piece == "<s>"


def test_neighbours_are_read(tmp_path: Path, chat_folder: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((chat_folder / "tokenizer.json").read_bytes())
    assert load_tokenizer(tmp_path / "tokenizer.json").eos_id is None
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<|im_end|>", "bos_token": "<|im_start|>"}')
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    named = '[{"name": "tool", "template": "a"}, {"name": "default", "template": "b"}]'
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": true, "chat_template": ' + named + "}")
    found = load_tokenizer(tmp_path)
    assert (found.eos_id, found.adds_bos, found.chat_template) == (2, True, "{{ messages }}")
    (tmp_path / "chat_template.jinja").unlink()
    assert load_tokenizer(tmp_path).chat_template == "b"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.model", None, "no such tokenizer file"),
        ("wrong.model", b"hello", "not a sentencepiece model"),
        ("wrong.json", b"{}", "not a tokenizer.json"),
        ("", None, "neither tokenizer.model nor tokenizer.json"),
    ],
)
def test_what_is_not_a_tokenizer_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_tokenizer(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer_config.json", b"{", r"tokenizer_config.json: not JSON \(Expecting"),
        ("tokenizer_config.json", b'{"a": "\xfc"}', r"tokenizer_config.json: not JSON \('utf-8' codec"),
        ("tokenizer_config.json", b"[" * 200_000, r"tokenizer_config.json: not JSON \(maximum recursion depth"),
        ("chat_template.jinja", b"f\xfcr", r"chat_template.jinja: not UTF-8 text .*0xfc"),
    ],
)
def test_a_broken_neighbour_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / "tokenizer.model").write_bytes(LLAMA_LIKE.read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_tokenizer(tmp_path)


def test_a_text_may_be_cut_between_words(llama: Tokenizer, chat: Tokenizer) -> None:
    rng = random.Random(0)
    parts = ["a b", "word", "é", " ", "  ", "\n", ".", "</s>", "<|im_end|>", "12", "'s", "▁", "你好", "(x", "\t", "Ġ"]
    for tokenizer, expected in ((llama, ""), (chat, " ")):
        joint = tokenizer.word_joint()
        assert joint == expected
        for _ in range(1000):
            left = "".join(rng.choices(parts, k=rng.randrange(0, 9))) + rng.choice("eéя")
            right = rng.choice("eéя") + "".join(rng.choices(parts, k=rng.randrange(0, 9)))
            whole, first, second = tokenizer.encode_batch_with_specials([f"{left} {right}", left, joint + right])
            assert whole == first + second, (left, right)


@pytest.mark.parametrize("piece", ["of the", "PAD", "<a b>"])
def test_pieces_that_join_words_forbid_the_cut(chat_folder: Path, tmp_path: Path, piece: str) -> None:
    shutil.copytree(chat_folder, tmp_path, dirs_exist_ok=True)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"].append({**content["added_tokens"][0], "id": 400, "content": piece})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert load_tokenizer(tmp_path).word_joint() is None
