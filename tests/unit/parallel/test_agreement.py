"""What one process answers when it is alone, and how an answer travels when it is not."""

import os
from pathlib import Path

import pytest

from mindcode.parallel.agreement import MESSAGE_BYTES, Agreement, answer_of, message_of
from mindcode.runtime.distributed import SINGLE
from mindcode.utils.errors import UserError


def refuse() -> Path | None:
    raise UserError("output: holds another run")


def test_a_process_that_is_alone_asks_itself() -> None:
    alone = Agreement(SINGLE)
    assert alone.path(lambda: Path("a")) == Path("a")
    assert alone.path(lambda: None) is None
    assert alone.anyone(True)
    assert not alone.anyone(False)
    alone.barrier()
    with pytest.raises(UserError, match="holds another run"):
        alone.path(refuse)


@pytest.mark.parametrize("path", [None, Path("run/checkpoint/a-1_2.json"), Path("Läufe"), Path(os.fsdecode(b"\xff"))])
def test_a_path_survives_the_way(path: Path | None) -> None:
    assert answer_of(message_of(lambda: path)) == path


def test_an_error_is_raised_where_it_arrives() -> None:
    with pytest.raises(UserError, match=r"^output: holds another run$"):
        answer_of(message_of(refuse))


def test_a_long_error_is_cut() -> None:
    def complain() -> Path | None:
        raise UserError("x" * 2 * MESSAGE_BYTES)

    assert len(message_of(complain)) == MESSAGE_BYTES
