"""Cleaning in chunks gives the paragraphs of the cleaning of the whole file, wherever the chunks begin."""

import random
from pathlib import Path

import pytest

from mindcode.data.wiki import Edge, paragraphs, read_chunks
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
WORDS = ["N", " N ", " N", "é", "a b", " b", "x ", " y ", " 's", "s '", "(", " )", '" ', "'", " . ", " \n", "\n "]
WORDS += ["\n\n", "= "]
AT_WORDS = (Edge.PARAGRAPH, Edge.WORD)


def cleaned(path: Path, size: int, edges: tuple[Edge, ...] = (Edge.PARAGRAPH,)) -> list[str]:
    texts: list[str] = []
    for paragraph in (paragraph for chunk in read_chunks(path, edges, size) for paragraph in paragraphs(chunk)):
        if paragraph.begins:
            texts.append(paragraph.text)
        else:
            texts[-1] += f" {paragraph.text}"
    return texts


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
        chunks += len(list(read_chunks(path, size=size)))
        assert cleaned(path, size) == wiki_paragraphs(path.read_text(encoding="utf-8")), (text, size)
    assert chunks > 5000, "the texts are cut"


def test_paragraphs_are_cut_between_words(tmp_path: Path) -> None:
    rng = random.Random(1)
    path, parts = tmp_path / "text", 0
    for _ in range(1000):
        text = "".join(rng.choice(WORDS) for _ in range(rng.randrange(5, 120)))
        path.write_bytes(text.encode())
        size = rng.randrange(1, 12)
        found = [part for chunk in read_chunks(path, AT_WORDS, size) for part in paragraphs(chunk)]
        parts += sum(not part.begins for part in found)
        assert cleaned(path, size, AT_WORDS) == wiki_paragraphs(path.read_text(encoding="utf-8")), (text, size)
        assert sum(part.begins for part in found) == sum(part.ends for part in found)
    assert parts > 2000, "the paragraphs are cut"


def test_a_heading_is_left_out_in_all_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("= Title =\n" + "with text below it " * 9 + "\n\n" + "kept words " * 9, encoding="utf-8")
    assert len(list(read_chunks(path, AT_WORDS, 20))) > 6
    assert cleaned(path, 20, AT_WORDS) == ["kept words " * 9]


def test_chunks_are_short_although_paragraphs_are_long(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for line_end in ("\n", " "):
        path.write_text(f"one line of words , and a few more .{line_end}" * 5000, encoding="utf-8")
        assert max(len(chunk.text) for chunk in read_chunks(path, AT_WORDS, 1000)) <= 3000


def test_quotes_are_paired_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "text"
    body = " \n \n".join(['one " opens here', "middle words", 'it closes " here', 'and " not this one'])
    path.write_text(body, encoding="utf-8")
    assert len(list(read_chunks(path, size=4))) == 4
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
