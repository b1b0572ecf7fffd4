"""Chat formats as text."""

import pytest

from mindcode.data.templates import Message, encode_rendered, render_chat, render_prompt
from mindcode.data.tokenizer import Tokenizer
from mindcode.utils.errors import UserError

TURNS = [Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes"), Message("user", "and?")]


def test_codellama_instruct(llama: Tokenizer) -> None:
    expected = "<s>[INST] <<SYS>>\nbe brief\n<</SYS>>\n\nhi [/INST] yes </s><s>[INST] and? [/INST]"
    assert render_prompt(llama, TURNS, "codellama-instruct") == expected
    ids = encode_rendered(llama, expected)
    assert (ids.count(1), ids.count(2)) == (2, 1)


def test_fschat_by_name(llama: Tokenizer) -> None:
    text = render_prompt(llama, TURNS, "vicuna_v1.1")
    assert text == "be brief USER: hi ASSISTANT: yes</s>USER: and? ASSISTANT:"
    assert render_chat(llama, TURNS[1:3], "vicuna").endswith(" USER: hi ASSISTANT: yes</s>")
    assert encode_rendered(llama, text)[0] == llama.bos_id


@pytest.mark.parametrize("template", ["codellama-instruct", "vicuna", "llama-2"])
@pytest.mark.parametrize(("number", "role"), [(1, "tool"), (2, "tool"), (3, "system")])
def test_roles_without_words_are_refused(llama: Tokenizer, template: str, number: int, role: str) -> None:
    turns = [*TURNS[: number - 1], Message(role, "4")]
    for render in (render_chat, render_prompt):
        with pytest.raises(UserError, match=f"template '{template}': message {number} is from '{role}'; expected"):
            render(llama, turns, template)


def test_the_tokenizers_own(chat: Tokenizer) -> None:
    prompt = render_prompt(chat, TURNS[1:2])
    assert prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert render_chat(chat, TURNS[1:2]) == "<|im_start|>user\nhi<|im_end|>\n"
    assert encode_rendered(chat, prompt) == chat.encode_with_specials(prompt), "no BOS where the tokenizer adds none"


def test_a_missing_template_says_what_to_do(llama: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"no chat_template; put its tokenizer_config.json beside it"):
        render_chat(llama, TURNS)


@pytest.mark.parametrize(
    ("source", "message"),
    [("{% if %}", "not valid Jinja"), ("{{ raise_exception('only one turn') }}", "refuses .*only one turn")],
)
def test_template_errors_are_one_line(
    chat: Tokenizer, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setattr(chat, "chat_template", source)
    with pytest.raises(UserError, match=message):
        render_chat(chat, TURNS)


def test_templates_cannot_reach_the_machine(chat: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "chat_template", "{{ ''.__class__.__mro__ }}")
    with pytest.raises(UserError, match="refuses"):
        render_chat(chat, TURNS)
