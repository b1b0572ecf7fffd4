"""Prompts in every form that a person may write them in, and the ids they become."""

from pathlib import Path

import pytest

from mindcode.data.templates import Message
from mindcode.data.tokenizer import Tokenizer, load_tokenizer
from mindcode.generation.prompts import (
    END,
    MIDDLE,
    PREFIX,
    SUFFIX,
    PromptEncoder,
    PromptRow,
    end_ids,
    read_prompts,
    text_prompt,
)
from mindcode.utils.errors import UserError

LLAMA_LIKE = Path(__file__).resolve().parents[3] / "tests" / "golden" / "llama_like.model"


class WithGaps:
    """A tokenizer that also has Code Llama's pieces for infilling, as ids 1000 to 1003."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.inner = tokenizer
        self.bos_id, self.adds_bos = tokenizer.bos_id, tokenizer.adds_bos
        self.encode = tokenizer.encode

    def piece_id(self, piece: str) -> int | None:
        return {PREFIX: 1000, SUFFIX: 1001, MIDDLE: 1002, END: 1003}.get(piece)


@pytest.fixture(scope="module")
def llama() -> Tokenizer:
    return load_tokenizer(LLAMA_LIKE)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_file_has_one_prompt_a_line(tmp_path: Path) -> None:
    rows = read_prompts(write(tmp_path, "prompts.txt", "def f(x):\\n    return\n\nfor <FILL_ME> in y:\n"))
    assert rows == [PromptRow("1", "def f(x):\n    return"), PromptRow("3", gap=("for ", " in y:"))]


def test_only_line_ends_end_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa\x0cb\x85c\u2028d\r\nsecond\n".encode())
    assert read_prompts(path) == [PromptRow("1", "a\x0cb\x85c\u2028d"), PromptRow("2", "second")]


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    for name in ("prompts.txt", "prompts.jsonl"):
        (tmp_path / name).write_bytes('{"prompt": "für"}\n'.encode("latin-1"))
        with pytest.raises(UserError, match=rf"{name}: not UTF-8 text .*0xfc"):
            read_prompts(tmp_path / name)


def test_a_jsonl_file_has_every_form(tmp_path: Path) -> None:
    lines = (
        '{"prompt": "a", "id": "first"}\n{"prefix": "x", "suffix": "y", "id": 7}\n\n'
        '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}\n'
    )
    assert read_prompts(write(tmp_path, "prompts.jsonl", lines)) == [
        PromptRow("first", "a"),
        PromptRow("7", gap=("x", "y")),
        PromptRow("3", messages=(Message("system", "s"), Message("user", "u"))),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"prompt": "a", "id": 1}\n{"prompt": "b", "id": "1"}\n', "the id '1' occurs twice"),
        ("a.jsonl", '{"text": "a"}\n', r'a.jsonl: prompt 1: expected "prompt", "messages"'),
        ("a.jsonl", '{"messages": [{"role": "user"}]}\n', "prompt 1: expected"),
        ("a.jsonl", "{\n", "a.jsonl:1: not JSON"),
        ("a.txt", "\n\n", "no prompts in it"),
        ("a.json", '[{"prompt": "a"}]', r"a.json: expected text or .jsonl, one JSON object a line"),
        ("a.txt", "<FILL_ME> <FILL_ME>\n", "prompt '1': <FILL_ME> occurs 2 times"),
    ],
)
def test_files_that_hold_no_prompts_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_prompts(write(tmp_path, name, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.txt: no such file; expected a text or .jsonl file"):
        read_prompts(tmp_path / "nowhere.txt")


def test_plain_text_begins_as_the_tokenizer_asks(llama: Tokenizer) -> None:
    expected = ([llama.bos_id] if llama.adds_bos else []) + llama.encode("def f(x):")
    for template in ("", "none"):
        assert list(PromptEncoder(llama, template).encode(PromptRow("1", "def f(x):"))) == expected


def test_a_template_makes_text_the_users_turn(llama: Tokenizer) -> None:
    encoder = PromptEncoder(llama, "codellama-instruct")
    ids = encoder.encode(PromptRow("1", "sort a list"))
    assert ids == encoder.encode(PromptRow("1", messages=(Message("user", "sort a list"),)))
    assert llama.decode(ids).strip() == "[INST] sort a list [/INST]"
    opened = encoder.encode(PromptRow("1", " def", messages=(Message("user", "sort a list"),)))
    assert llama.decode(opened).strip() == "[INST] sort a list [/INST] def"


def test_conversations_need_a_template(llama: Tokenizer) -> None:
    row = PromptRow("7", messages=(Message("user", "x"),))
    with pytest.raises(UserError, match="prompt '7': a conversation needs a template"):
        PromptEncoder(llama, "none").encode(row)
    with pytest.raises(UserError, match="this tokenizer has no chat_template"):
        PromptEncoder(llama, "").encode(row)


@pytest.mark.parametrize("template", ["codellama-instruct", "vicuna_v1.1"])
def test_roles_that_a_template_has_no_words_for_are_named(llama: Tokenizer, template: str) -> None:
    row = PromptRow("7", messages=(Message("user", "x"), Message("tool", "y")))
    with pytest.raises(UserError, match=f"prompt '7': template '{template}': message 2 is from 'tool'"):
        PromptEncoder(llama, template).encode(row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (PromptRow("7", "a\ud800"), r"prompt '7': half a character \('.ud800'\)"),
        (PromptRow("7", gap=("a", "\udc80")), "prompt '7': half a character"),
        (PromptRow("7", messages=(Message("user", "\ud800"),)), "prompt '7': half a character"),
        (PromptRow("7"), "prompt '7': empty prompt"),
    ],
)
def test_prompts_that_have_no_tokens_are_named(row: PromptRow, message: str, llama: Tokenizer) -> None:
    bare = WithGaps(llama)
    bare.adds_bos = False
    with pytest.raises(UserError, match=message):
        PromptEncoder(bare, "codellama-instruct" if row.messages else "").encode(row)  # type: ignore[arg-type]


def test_infilling_adds_no_blank_to_the_suffix(llama: Tokenizer) -> None:
    tokenizer = WithGaps(llama)
    prefix, suffix = "def f(x):\n    return", " + 1\n"
    ids = list(PromptEncoder(tokenizer, "").encode(text_prompt("1", f"{prefix}<FILL_ME>{suffix}")))  # type: ignore[arg-type]
    begin = [llama.bos_id] if llama.adds_bos else []
    split = ids.index(1001)
    assert ids[:split] == [*begin, 1000, *llama.encode(prefix)] and ids[-1] == 1002
    # the pieces of the suffix spell exactly the suffix, with nothing in front
    assert llama.decode([*llama.encode("☺"), *ids[split + 1 : -1]]) == "☺" + suffix
    assert end_ids(tokenizer, (2,)) == (2, 1003)  # type: ignore[arg-type]


def test_a_tokenizer_without_infilling_pieces_says_so(llama: Tokenizer) -> None:
    with pytest.raises(UserError, match="prompt '1': the tokenizer has no ▁<PRE>, ▁<SUF>, ▁<MID>"):
        PromptEncoder(llama, "").encode(text_prompt("1", "a<FILL_ME>b"))
    assert end_ids(llama, (2, 5)) == (2, 5)
