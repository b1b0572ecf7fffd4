"""Where a function ends in the languages with braces: JavaScript, Java, Go, C++, Rust.

Braces in comments, strings and characters do not count.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_STRING = r'"(?:\\.|[^"\\])*"'
_CHARACTER = r"'(?:\\[^'\n]{1,10}|[^'\\\n])'"
_RAW_RUST = r'\br(#*)".*?"\1'
_QUOTED_JS = r"'(?:\\.|[^'\\\n])*'"
_PATTERN_JS = r"(?<=[(,=:!&|?])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"
_BACKQUOTED = r"`[^`]*`"
_PARTS = {
    "js": (_COMMENT, _STRING, _QUOTED_JS, _BACKQUOTED, _PATTERN_JS),
    "java": (_COMMENT, _STRING, _CHARACTER),
    "go": (_COMMENT, _STRING, _CHARACTER, _BACKQUOTED),
    "cpp": (_COMMENT, _STRING, _CHARACTER),
    "rust": (_COMMENT, _RAW_RUST, _STRING, _CHARACTER),
}
"""What is passed over, in the order in which it is tried; a Rust lifetime is no character."""
_TOKENS = {name: re.compile("|".join((*parts, "[{}]")), re.DOTALL) for name, parts in _PARTS.items()}


class _Brace(NamedTuple):
    end: int
    depth: int
    """How many braces are open after this one."""


def cut_at_end(language: str, head: str, body: str) -> str:
    """Return `body` up to the brace that closes what `head` leaves open; an unfinished one up to its last `}`."""
    for brace in _braces(language, head, body):
        if brace.depth <= 0:
            return body[: brace.end]
    if language == "java":
        return _closed_class(head, body.split("public static void main")[0])
    return _up_to_last_brace(body)


def _closed_class(head: str, body: str) -> str:
    """End a Java class whose last method is whole."""
    body = _up_to_last_brace(body)
    braces = list(_braces("java", head, body))
    return body + "\n}" if braces and braces[-1].depth == 1 else body


def _up_to_last_brace(body: str) -> str:
    return body[: body.rfind("}") + 1] or body


def _braces(language: str, head: str, body: str) -> Iterator[_Brace]:
    """Yield the braces of `body`, which follows `head`."""
    depth = 0
    for match in _TOKENS[language].finditer(head + body):
        if match.group() in "{}":
            depth += 1 if match.group() == "{" else -1
            if match.end() > len(head):
                yield _Brace(match.end() - len(head), depth)
