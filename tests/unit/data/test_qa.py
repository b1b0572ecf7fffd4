"""Conversations to labels: id for id what the published rules give, and what is reported."""

import random

import numpy as np
import pytest

from mindcode.data.qa import IGNORE, QaEncoder, QaRows
from mindcode.data.records import Record
from mindcode.data.tokenizer import Tokenizer
from mindcode.utils.errors import UserError
from tests.helpers.slow_preprocess import qa_row

WORDS = [
    "x",
    "</s>",
    " ASSISTANT: ",
    "hello world",
    "<unk>",
    " ",
    "\n",
    "USER: a",
    "é你🎉",
    "  two",
    "<s>",
    "",
    "ASSISTANT:",
]
Turns = list[tuple[str, str]]


def record(turns: Turns, where: str = "here") -> Record:
    return Record(where, {"conversations": [{"from": who, "value": words} for who, words in turns]}, 0)


def rows_of(found: QaRows) -> list[tuple[list[int], list[int]]]:
    ends = np.cumsum(found.lengths)[:-1]
    ids, labels = np.split(found.ids, ends), np.split(found.labels, ends)
    return [(a.tolist(), b.tolist()) for a, b in zip(ids, labels, strict=True)]


def random_turns(rng: random.Random) -> Turns:
    def words() -> str:
        return "".join(rng.choice(WORDS) if rng.random() < 0.2 else "plain text " for _ in range(rng.randrange(0, 4)))

    turns = [(("human", "gpt")[i % 2], words()) for i in range(rng.randrange(1, 6))]
    return [("gpt", "dropped"), *turns] if rng.random() < 0.1 else turns


@pytest.mark.parametrize("row_length", [2, 90, 170, 400])
def test_vicuna_rows_follow_the_published_rules(llama: Tokenizer, row_length: int) -> None:
    rng = random.Random(row_length)
    cases = [random_turns(rng) for _ in range(400)]
    encoder = QaEncoder(llama, "vicuna", row_length, keep_masked=True)
    found = encoder.encode([record(turns) for turns in cases])
    expected = [qa_row(turns, llama.encode_with_specials, row_length) for turns in cases]
    for (ids, labels), (wanted_ids, wanted_labels) in zip(rows_of(found), expected, strict=True):
        fill = row_length - len(ids)
        assert ids + [0] * fill == wanted_ids
        assert labels + [IGNORE] * fill == wanted_labels
    assert len(found.masked) == sum(set(labels) == {IGNORE} for _, labels in expected)


def test_the_answer_and_its_end_are_the_targets(llama: Tokenizer) -> None:
    found = QaEncoder(llama, "vicuna", 400, keep_masked=False).encode([record([("human", "add"), ("gpt", "a + b")])])
    ids, labels = rows_of(found)[0]
    targets = [label for label in labels if label != IGNORE]
    assert targets == [*llama.encode("a + b"), llama.eos_id]
    assert ids[-len(targets) :] == targets and ids[0] == llama.bos_id


@pytest.mark.parametrize(
    ("turns", "row_length", "reason"),
    [
        ([("human", "a")], 400, "round 1 is unanswered"),
        ([("human", "a"), ("gpt", "b"), ("human", "c")], 400, "round 2 is unanswered"),
        ([("human", "a ASSISTANT: b"), ("gpt", "c")], 400, "' ASSISTANT: '"),
        ([("human", "a"), ("gpt", "<unk>")], 400, "a token equals the padding id 0"),
        ([("human", "a"), ("gpt", "b")], 20, "no target within the first 20 tokens"),
    ],
)
def test_rows_without_a_target_are_reported_and_left_out(
    llama: Tokenizer, turns: Turns, row_length: int, reason: str
) -> None:
    left_out = QaEncoder(llama, "vicuna", row_length, keep_masked=False).encode([record(turns, "file:7")])
    assert len(left_out.lengths) == 0
    assert left_out.masked[0].where == "file:7" and reason in left_out.masked[0].reason
    kept = QaEncoder(llama, "vicuna", row_length, keep_masked=True).encode([record(turns)])
    assert len(kept.lengths) == 1 and set(kept.labels.tolist()) == {IGNORE}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "expected a JSON object, found int"),
        ({}, 'no "conversations"'),
        ({"instruction": "a", "output": "b"}, "alpaca_converter.py"),
        ({"conversations": []}, "expected a list of turns"),
        ({"conversations": ["a"]}, r"conversations[0]: expected an object"),
        ({"conversations": [{"from": "bot", "value": "a"}]}, "'bot'"),
        ({"conversations": [{"from": "human", "value": 1}]}, "expected text, found int"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role: ['user']"),
        ({"messages": [{"role": "user", "content": "a\ud800"}]}, r"messages[0].content: half a character ('\ud800')"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "no human turn"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "turn 2 is user's"),
    ],
)
def test_bad_records_are_reported_with_their_place(llama: Tokenizer, value: object, reason: str) -> None:
    good = record([("human", "a"), ("gpt", "b")])
    found = QaEncoder(llama, "vicuna", 400, keep_masked=False).encode([good, Record("f:3", value, 0), good])
    assert len(found.lengths) == 2
    assert [(p.where, reason in p.reason) for p in found.bad] == [("f:3", True)]


def test_the_tokenizers_own_format(chat: Tokenizer) -> None:
    turns = [("system", "be brief"), ("human", "hi"), ("gpt", "Hello  there"), ("human", "more"), ("gpt", "no")]
    found = QaEncoder(chat, "tokenizer", 300, keep_masked=False).encode([record(turns)])
    ids, labels = rows_of(found)[0]
    text = (
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nHello  there"
        "<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\nno<|im_end|>\n"
    )
    assert ids == chat.encode_with_specials(text)
    targets = [label for label in labels if label != IGNORE]
    assert targets == [*chat.encode("Hello  there"), chat.eos_id, *chat.encode("no"), chat.eos_id]


@pytest.mark.parametrize("template", ["codellama-instruct", "llama-2"])
def test_llama_formats_begin_once_and_learn_to_end(llama: Tokenizer, template: str) -> None:
    found = QaEncoder(llama, template, 300, keep_masked=False).encode([record([("human", "q"), ("gpt", "answer")])])
    ids, labels = rows_of(found)[0]
    assert ids[:2].count(llama.bos_id or 0) == 1 and ids[0] == llama.bos_id
    targets = [label for label in labels if label != IGNORE]
    assert targets[-1] == llama.eos_id and llama.bos_id not in targets
    assert llama.decode(targets).strip() == "answer"


def test_a_template_that_rewrites_earlier_turns_is_refused(chat: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "{{ messages[-1].content }}{% for m in messages %}{{ m.content }}{% endfor %}"
    monkeypatch.setattr(chat, "chat_template", source)
    found = QaEncoder(chat, "tokenizer", 300, keep_masked=False).encode([record([("human", "a"), ("gpt", "b")])])
    assert "rewrites earlier turns" in found.bad[0].reason


def test_an_unknown_template_is_refused(llama: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"did you mean vicuna\?"):
        QaEncoder(llama, "vicunia", 300, keep_masked=False)
