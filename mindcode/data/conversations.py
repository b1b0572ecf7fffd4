"""Conversation records to messages.

A record is {"conversations": [{"from": "human" | "gpt", "value": …}, …]}, as alpaca_converter.py writes it, or
{"messages": [{"role": "user" | "assistant", "content": …}, …]}. What stands before the first human turn is dropped, as
MindFormers drops it, unless it is a system message and the format has a place for one.
"""

from collections.abc import Sequence
from typing import Any

from mindcode.data.records import expect_text
from mindcode.data.templates import Message

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SPELLINGS = (("conversations", "from", "value"), ("messages", "role", "content"))


def parse_conversation(record: Any) -> list[Message]:
    """Return the turns of a record, user and assistant in turn, a system message possibly before them.

    Raises ValueError that says what is wrong with the record.
    """
    messages = _messages(record)
    system = messages[:1] if messages[0].role == "system" else []
    turns = messages[0 if messages[0].role == "user" else 1 :]
    if not turns:
        raise ValueError("no human turn")
    for index, message in enumerate(turns):
        expected = ("user", "assistant")[index % 2]
        if message.role != expected:
            raise ValueError(f"turn {index + 1} is {message.role}'s, expected {expected}'s")
    return [*system, *turns]


def _messages(record: Any) -> list[Message]:
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, found {type(record).__name__}")
    for list_key, role_key, text_key in _SPELLINGS:
        if list_key in record:
            turns = record[list_key]
            if not isinstance(turns, list) or not turns:
                raise ValueError(f"{list_key}: expected a list of turns")
            return [_message(turn, f"{list_key}[{i}]", role_key, text_key) for i, turn in enumerate(turns)]
    if "instruction" in record:
        raise ValueError("alpaca rows; convert the file with tools/dataset_preprocess/alpaca_converter.py first")
    raise ValueError('no "conversations" and no "messages"')


def _message(turn: Any, where: str, role_key: str, text_key: str) -> Message:
    if not isinstance(turn, dict):
        raise ValueError(f"{where}: expected an object with {role_key!r} and {text_key!r}")
    role = turn.get(role_key)
    if not isinstance(role, str) or role not in _ROLES:
        raise ValueError(f"{where}.{role_key}: {role!r} (known: {', '.join(_ROLES)})")
    return Message(_ROLES[role], expect_text(turn.get(text_key), f"{where}.{text_key}"))


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The turns alone, for formats that have a system message of their own."""
    return [message for message in messages if message.role != "system"]
