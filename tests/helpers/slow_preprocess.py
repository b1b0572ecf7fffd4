"""The published rules of MindFormers' wiki and qa preprocessing, one step after the other, as slow and plain as can be.

Written from the description of the rules, without a line in common with mindcode.data; the tokenizer is a function from
text to ids (special pieces in the text count as such, nothing is added).
"""

import re
from collections.abc import Callable

Encode = Callable[[str], list[int]]
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
BOS, EOS, PAD = 1, 2, 0


def clean(text: str) -> str:
    text = text.replace("s '", "s'")
    for old, new in [(" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", ".")]:
        text = text.replace(old, new)
    for mark in [":", ";", ".", "!", "?", ","]:
        text = text.replace(" " + mark + " ", mark + " ")
    text = re.sub(r"\(\s*([^\)]*?)\s*\)", r"(\1)", text)
    text = re.sub(r"\[\s*([^\]]*?)\s*\]", r"[\1]", text)
    text = re.sub(r"{\s*([^}]*?)\s*}", r"{\1}", text)
    text = re.sub(r"\"\s*([^\"]*?)\s*\"", r'"\1"', text)
    text = re.sub(r"'\s*([^']*?)\s*'", r"'\1'", text)
    for old, new in [("= = = =", "===="), ("= = =", "==="), ("= =", "=="), (" ° ", "°")]:
        text = text.replace(old, new)
    for old, new in [(" \n", "\n"), ("\n ", "\n"), (" N ", " 1 "), (" 's", "'s")]:
        text = text.replace(old, new)
    return text


def wiki_paragraphs(text: str) -> list[str]:
    return [p for p in clean(text).split("\n\n") if p != "" and not p.strip().startswith("=")]


def wiki_rows(text: str, encode: Encode, row_length: int, repeat: int = 1) -> list[list[int]]:
    stream: list[int] = []
    for paragraph in wiki_paragraphs(text):
        stream += [BOS, *encode(paragraph), EOS]
    stream = stream * repeat
    return [stream[i : i + row_length] for i in range(0, len(stream) - row_length + 1, row_length)]


def qa_text(turns: list[tuple[str, str]]) -> str:
    text = SYSTEM + " "
    for index, (speaker, words) in enumerate(turns):
        role = {"human": "USER", "gpt": "ASSISTANT"}[speaker]
        text += f"{role}: {words}{' ' if index % 2 == 0 else '</s>'}" if words else f"{role}:"
    return text


def qa_row(turns: list[tuple[str, str]], encode: Encode, row_length: int) -> tuple[list[int], list[int]]:
    """One conversation to (input_ids, labels), both `row_length` long."""

    def tokens(text: str) -> list[int]:
        return [BOS, *encode(text), EOS]

    if turns[0][0] != "human":
        turns = turns[1:]
    ids, rounds = [BOS], []
    for part in qa_text(turns).split("</s>"):
        if part == "":
            break
        rounds.append(part)
        ids += tokens(part)[1:]
    ids += [PAD] * (row_length - len(ids))
    labels = list(ids)
    labels[0] = -100
    position = 1
    for part in rounds:
        halves = part.split(" ASSISTANT: ")
        if len(halves) != 2:
            break
        instruction = len(tokens(halves[0] + " ASSISTANT: ")) - 3
        for index in range(position, min(position + instruction, len(labels))):
            labels[index] = -100
        position += len(tokens(part)) - 1
    labels[position:] = [-100] * (len(labels) - position)
    if position < row_length and position != sum(i != PAD for i in ids):
        labels = [-100] * len(labels)
    return ids[:row_length], labels[:row_length]
