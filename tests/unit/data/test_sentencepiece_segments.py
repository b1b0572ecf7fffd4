"""Encoding by segments is encoding."""

import io
import random
from pathlib import Path

import pytest
import sentencepiece

import mindcode.data.sentencepiece_segments as segments_module
from mindcode.data.sentencepiece_segments import SegmentEncoder, separable
from tests.unit.data.conftest import LLAMA_LIKE, ROOT

PARTS = [
    " ",
    "  ",
    "a",
    "def ",
    "return",
    "\n",
    "\t",
    "é",
    "你好",
    "🎉",
    "12",
    "▁",
    "=",
    " (",
    "\u00a0",
    "self.",
    "</s>",
]


@pytest.fixture(scope="module")
def model() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(LLAMA_LIKE))


def test_random_texts(model: sentencepiece.SentencePieceProcessor) -> None:
    rng = random.Random(0)
    texts = [
        "",
        " ",
        "  ",
        "a ",
        " a",
        "a  ",
        *("".join(rng.choices(PARTS, k=rng.randrange(1, 30))) for _ in range(3000)),
    ]
    texts = [text.replace("▁", "") if "▁" in text and rng.random() < 0.5 else text for text in texts]
    assert SegmentEncoder(model, {}).encode(texts) == model.encode(texts)


def test_special_pieces_are_cut_out(model: sentencepiece.SentencePieceProcessor) -> None:
    encoder = SegmentEncoder(model, {"</s>": 2, "<unk>": 0})
    expected = [*model.encode("a "), 2, *model.encode(" b"), 0, 0, *model.encode("<s>")]
    assert encoder.encode(["a </s> b<unk><unk><s>", "</s>", "plain"]) == [expected, [2], model.encode("plain")]


def test_real_texts(model: sentencepiece.SentencePieceProcessor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments_module, "MAX_CACHED_CHARACTERS", 2000)
    encoder = SegmentEncoder(model, {})
    for path in [*sorted((ROOT / "mindcode").rglob("*.py"))[:30], ROOT / "examples" / "data" / "wikitext2_sample.txt"]:
        text = path.read_text(encoding="utf-8")
        assert encoder.encode([text, *text.splitlines()]) == model.encode([text, *text.splitlines()])


def test_models_that_change_text_or_cross_spaces_are_told_apart(model: sentencepiece.SentencePieceProcessor) -> None:
    assert separable(model)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    plain = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
    for options in (
        {"byte_fallback": True},
        {**plain, "split_by_whitespace": False},
        {**plain, "byte_fallback": False},
        {**plain, "add_dummy_prefix": False},
        {**plain, "treat_whitespace_as_suffix": True},
    ):
        stream = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=stream,
            model_type="bpe",
            vocab_size=420,
            minloglevel=2,
            **options,
        )
        assert not separable(sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())), options
