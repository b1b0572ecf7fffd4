"""Text while tokens arrive: characters of several tokens, blanks at the seams, stop strings across tokens."""

from collections.abc import Sequence

import pytest

from mindcode.generation.detokenize import StopStrings, StreamDecoder


class Bytes:
    """Every id is one byte of UTF-8."""

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", errors="replace")


class Pieces:
    """Sentencepiece's way: pieces carry the blank before them, and the first blank is dropped."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.pieces[token] for token in ids).removeprefix("▁").replace("▁", " ")


@pytest.mark.parametrize("text", ["plain", "für elf Äpfel", "日本語のコード", "a👩‍💻b", "e\u0301"])
def test_characters_appear_when_they_are_complete(text: str) -> None:
    stream = StreamDecoder(Bytes())
    pieces = [stream.add(byte) for byte in text.encode()]
    assert "".join(pieces) == text == stream.finish()
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_are_no_text_do_not_hold_back_the_rest() -> None:
    content = [0xFF] * 9 + list(b" and more")
    stream = StreamDecoder(Bytes())
    for byte in content:
        stream.add(byte)
    assert stream.finish() == bytes(content).decode(errors="replace")


def test_an_unfinished_character_at_the_end_is_shown_at_last() -> None:
    stream = StreamDecoder(Bytes())
    assert [stream.add(byte) for byte in b"a\xe6\x97"] == ["a", "", ""]
    assert stream.finish() == "a\ufffd"
    assert stream.finish() == "a\ufffd", "finishing twice adds nothing"


def test_the_blank_behind_a_prompt_is_kept() -> None:
    decoder = Pieces("▁def", "▁f", "(x)", ":")
    alone, behind = StreamDecoder(decoder), StreamDecoder(decoder, prompt_ids=(0,))
    for token in (1, 2, 1):
        alone.add(token)
        behind.add(token)
    assert (alone.text, behind.text) == ("f(x) f", " f(x) f")


@pytest.mark.parametrize("cuts", [(1,) * 12, (3, 5, 4), (12,)])
def test_stop_strings_are_found_across_pieces(cuts: tuple[int, ...]) -> None:
    text, stop = "return x\n```", StopStrings(("\n```", "xyz"))
    place, end = None, 0
    for cut in cuts:
        end += cut
        place = stop.find(text[:end]) if place is None else place
    assert place == len("return x")


def test_the_earliest_stop_string_wins() -> None:
    assert StopStrings(("\ndef", "\n")).find("a\ndef b") == 1
    assert StopStrings(()).find("anything") is None
