"""Cleaning in chunks gives the paragraphs of the cleaning of the whole file, wherever the chunks begin."""

import random
from pathlib import Path

import pytest

from mindcode.data.wiki import paragraphs, read_chunks
from mindcode.utils.errors import UserError
from tests.helpers.slow_preprocess import wiki_paragraphs

SAMPLE = Path(__file__).resolve().parents[3] / "examples" / "data" / "wikitext2_sample.txt"
PARTS = [
    *"()[]{}",
    '"',
    "'",
    "s '",
    " 's",
    "a",
    "N",
    " N ",
    " . ",
    " , ",
    " @-@ ",
    "= ",
    "= = =",
    " ° ",
    "\n",
    " \n \n ",
]
PARTS += ["\n\n", " \n", "\n\n", " ", "  ", "x", "é", "<unk>", "\u00a0", "\r\n"]


def cleaned(path: Path, size: int) -> list[str]:
    return [text for chunk in read_chunks(path, size) for text in paragraphs(chunk)]


@pytest.mark.parametrize("size", [500, 20_000, 1 << 20])
def test_the_sample(size: int) -> None:
    assert cleaned(SAMPLE, size) == wiki_paragraphs(SAMPLE.read_text(encoding="utf-8"))


def test_random_texts(tmp_path: Path) -> None:
    rng = random.Random(0)
    path, chunks = tmp_path / "text", 0
    for _ in range(3000):
        text = "".join(rng.choice(PARTS) for _ in range(rng.randrange(5, 120)))
        path.write_bytes(text.encode())
        size = rng.randrange(1, 20)
        chunks += len(list(read_chunks(path, size)))
        assert cleaned(path, size) == wiki_paragraphs(path.read_text(encoding="utf-8")), (text, size)
    assert chunks > 5000, "the texts are cut"


def test_quotes_are_paired_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "text"
    body = " \n \n".join(['one " opens here', "middle words", 'it closes " here', 'and " not this one'])
    path.write_text(body, encoding="utf-8")
    assert len(list(read_chunks(path, 4))) == 4
    assert cleaned(path, 4) == ['one "opens here', "middle words", 'it closes" here', 'and " not this one']


def test_headings_and_blank_paragraphs_go() -> None:
    assert wiki_paragraphs(" = Title = \n \n text . \n \n = = Part = = \n \n more , text \n") == [
        "text.",
        "more, text\n",
    ]


def test_a_missing_file_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        list(read_chunks(tmp_path / "missing"))
    (tmp_path / "binary").write_bytes(b"abc\xff\xfe")
    with pytest.raises(UserError, match=r"binary: not UTF-8 text .*0xff"):
        list(read_chunks(tmp_path / "binary"))
