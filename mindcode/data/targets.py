"""Which characters of a conversation the model learns to write.

A conversation becomes a `Script`: pieces of text that are tokenized one by one, each with the spans that are targets.
Any chat format gives one piece, whose spans are found by rendering the conversation turn by turn. The vicuna
format has a piece for each round, as MindFormers tokenizes it, each ended by the end-of-text token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mindcode.data.templates import VICUNA_TEMPLATE, ChatTemplate, Message, find_template
from mindcode.data.tokenizer import Tokenizer
from mindcode.utils.errors import UserError

_ROUND_END, _REPLY = "</s>", " ASSISTANT: "


@dataclass(frozen=True)
class Piece:
    """Text, the [start, end) character spans that are targets, and whether the end-of-text token follows it."""

    text: str
    spans: tuple[tuple[int, int], ...]
    ends: bool


@dataclass(frozen=True)
class Script:
    """The pieces of one conversation.

    `forced_bos`: BOS comes first whatever the tokenizer's habit. `readable`: how many pieces have known targets, in the
    vicuna format, where a row is given up when that is not all of it; None in formats without such a rule.
    """

    pieces: tuple[Piece, ...]
    forced_bos: bool
    readable: int | None


def script_writer(tokenizer: Tokenizer, template: str) -> Callable[[Sequence[Message]], Script]:
    """Return the function that turns messages into a script; "vicuna" or a name that templates.py knows.

    The function raises ValueError for a conversation that the format cannot express.
    """
    chat = find_template(tokenizer, template)
    if template == VICUNA_TEMPLATE:
        return lambda messages: _vicuna_script(chat.conversation(messages))
    bos_piece = tokenizer.bos_piece or ""
    return lambda messages: _chat_script(chat, bos_piece, messages)


def _vicuna_script(text: str) -> Script:
    """Cut at every `</s>`; in each round everything after the reply mark is a target, from the space that ends it."""
    rounds = text.split(_ROUND_END)
    rounds = rounds[: rounds.index("")] if "" in rounds else rounds
    pieces, readable = [], 0
    for index, part in enumerate(rounds):
        clear = readable == index and part.count(_REPLY) == 1
        readable += clear
        start = part.find(_REPLY) + len(_REPLY) - 1
        pieces.append(Piece(part, ((start, len(part)),) if clear else (), ends=True))
    return Script(tuple(pieces), forced_bos=True, readable=readable)


def _chat_script(chat: ChatTemplate, bos_piece: str, messages: Sequence[Message]) -> Script:
    """Targets are what each assistant turn adds to the prompt before it, up to its end mark; some formats write the
    beginning of the next round (`bos_piece`) right after it."""
    try:
        text = chat.conversation(messages)
        spans = [
            _span(text, chat.prompt(messages[:index]), chat.conversation(messages[: index + 1]).removesuffix(bos_piece))
            for index, message in enumerate(messages)
            if message.role == "assistant"
        ]
    except UserError as error:
        raise ValueError(str(error)) from error
    return Script((Piece(text, tuple(spans), ends=False),), forced_bos=False, readable=None)


def _span(text: str, before: str, after: str) -> tuple[int, int]:
    if not (after.startswith(before) and text.startswith(after.rstrip())):
        raise ValueError(
            "this chat template rewrites earlier turns, so the assistant's words cannot be found in its text"
        )
    return len(before), len(after.rstrip())
