"""Prompts as people write them, and the token ids that a model is given for them.

Text goes in as it is, or as the user's turn of a chat template; conversations always go through a template. A text
with `<FILL_ME>`, or a prefix and a suffix, asks for what is missing between them (Code Llama, Rozière et al. 2023,
section 2.3): `▁<PRE> prefix ▁<SUF>suffix ▁<MID>`, and the answer ends with `▁<EOT>`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.data.records import expect_text
from mindcode.data.templates import OWN_TEMPLATE, Message, encode_rendered, find_template
from mindcode.data.tokenizer import Tokenizer
from mindcode.utils.errors import UserError, not_utf8
from mindcode.utils.jsonl import read_jsonl

FILL = "<FILL_ME>"
NO_TEMPLATE = "none"
PREFIX, SUFFIX, MIDDLE, END = "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"
_ANCHOR = "☺"
"""Put in front of a suffix while it is encoded, so that sentencepiece adds no blank to the suffix itself."""


@dataclass(frozen=True)
class PromptRow:
    """One prompt: `text`, or `messages` after which `text` begins the answer, or the text around a gap."""

    id: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    gap: tuple[str, str] | None = None
    """Prefix and suffix."""


def text_prompt(name: str, text: str) -> PromptRow:
    """Return the prompt for a text, which may have one gap. Raises UserError for several."""
    prefix, *suffixes = text.split(FILL)
    if len(suffixes) > 1:
        raise UserError(f"prompt {name!r}: {FILL} occurs {len(suffixes)} times, expected at most one")
    return PromptRow(name, gap=(prefix, suffixes[0])) if suffixes else PromptRow(name, text)


def read_prompts(path: Path) -> list[PromptRow]:
    """Read prompts from a file: .jsonl (or .jsonl.gz) objects, or text with one prompt a line.

    An object has `prompt`, `messages` or `prefix` and `suffix`, and may have an `id`; without one the line's number
    is its id. In a text file, \\n stands for a line break. Raises UserError for anything else and for repeated ids.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a text or .jsonl file with prompts, or the word humaneval")
    if path.suffix == ".json":
        raise UserError(f"{path}: expected text or .jsonl, one JSON object a line")
    rows = list(_json_rows(path) if ".jsonl" in path.suffixes else _text_rows(path))
    if not rows:
        raise UserError(f"{path}: no prompts in it")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise UserError(f"{path}: the id {row.id!r} occurs twice; ids tell which prompts are done")
        seen.add(row.id)
    return rows


def _text_rows(path: Path) -> Iterator[PromptRow]:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield text_prompt(str(number), line.removesuffix("\n").replace("\\n", "\n"))
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


def _json_rows(path: Path) -> Iterator[PromptRow]:
    for number, row in enumerate(read_jsonl(path), start=1):
        yield _json_row(row, str(row.get("id", number)), f"{path}: prompt {number}")


def _json_row(row: Mapping[str, Any], name: str, where: str) -> PromptRow:
    if isinstance(row.get("prompt"), str):
        return text_prompt(name, row["prompt"])
    if isinstance(row.get("prefix"), str) and isinstance(row.get("suffix"), str):
        return PromptRow(name, gap=(row["prefix"], row["suffix"]))
    turns = row.get("messages")
    if isinstance(turns, list) and turns and all(_is_turn(turn) for turn in turns):
        return PromptRow(name, messages=tuple(Message(turn["role"], turn["content"]) for turn in turns))
    raise UserError(f'{where}: expected "prompt", "messages" (a list of role and content), or "prefix" and "suffix"')


def _is_turn(turn: object) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)


class PromptEncoder:
    """Turns prompts into ids with one tokenizer and one chat template.

    `template` is a name for data/templates.py, `none`, or empty: then texts stay as they are and conversations take
    the tokenizer's own template.
    """

    def __init__(self, tokenizer: Tokenizer, template: str) -> None:
        self._tokenizer, self._template = tokenizer, template

    def encode(self, prompt: PromptRow) -> tuple[int, ...]:
        """Return the ids. Raises UserError when the tokenizer or the template cannot express the prompt."""
        where = f"prompt {prompt.id!r}"
        try:
            for text in _texts(prompt):
                expect_text(text, where)
        except ValueError as error:
            raise UserError(str(error)) from error
        ids = self._infilling(where, *prompt.gap) if prompt.gap is not None else self._continuation(where, prompt)
        if not ids:
            raise UserError(f"{where}: empty prompt; this model needs at least one token to begin with")
        return tuple(ids)

    def _continuation(self, where: str, prompt: PromptRow) -> list[int]:
        messages, opening = prompt.messages, prompt.text
        if not messages and self._template not in ("", NO_TEMPLATE):
            messages, opening = (Message("user", prompt.text),), ""
        if not messages:
            return self._begin() + self._tokenizer.encode(prompt.text)
        if self._template == NO_TEMPLATE:
            raise UserError(f"{where}: a conversation needs a template; leave --chat_template none out")
        template = find_template(self._tokenizer, self._template or OWN_TEMPLATE)
        try:
            text = template.prompt(messages) + opening
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        return encode_rendered(self._tokenizer, text)

    def _begin(self) -> list[int]:
        bos = self._tokenizer.bos_id
        return [bos] if bos is not None and self._tokenizer.adds_bos else []

    def _infilling(self, where: str, prefix: str, suffix: str) -> list[int]:
        marks = [self._tokenizer.piece_id(piece) for piece in (PREFIX, SUFFIX, MIDDLE)]
        before, between, after = marks
        if before is None or between is None or after is None:
            missing = [piece for piece, mark in zip((PREFIX, SUFFIX, MIDDLE), marks, strict=True) if mark is None]
            raise UserError(
                f"{where}: the tokenizer has no {', '.join(missing)}, so this model cannot fill gaps; "
                "CodeLlama-7b, -13b and their Instruct versions can"
            )
        anchor = self._tokenizer.encode(_ANCHOR)
        anchored = self._tokenizer.encode(_ANCHOR + suffix)
        head = [*self._begin(), before, *self._tokenizer.encode(prefix), between]
        return [*head, *anchored[len(anchor) :], after]


def _texts(prompt: PromptRow) -> Iterator[str]:
    yield prompt.text
    yield from prompt.gap or ()
    for message in prompt.messages:
        yield from (message.role, message.content)


def end_ids(tokenizer: Tokenizer, eos_ids: Sequence[int]) -> tuple[int, ...]:
    """Return the ids that end an answer: those of the configuration, and the end of a filled gap."""
    end = tokenizer.piece_id(END)
    return tuple(eos_ids) if end is None else (*eos_ids, end)
