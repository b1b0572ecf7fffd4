"""How numbers and tables are written."""

import pytest

from mindcode.planner.tables import gib, numbers, table


@pytest.mark.parametrize(
    ("values", "text"), [((0, 1, 2, 3), "0-3"), ((5,), "5"), ((0, 4), "0,4"), ((0, 8, 16, 24), "0,8,16,24")]
)
def test_numbers(values: tuple[int, ...], text: str) -> None:
    assert numbers(values) == text


def test_columns_of_numbers_stand_to_the_right() -> None:
    assert table(["ranks", "GB"], [["0-7", "1,309.2"], ["8-15", "2.1"]]) == (
        "ranks       GB\n0-7    1,309.2\n8-15       2.1"
    )


def test_gib() -> None:
    assert gib(3 * 2**29) == "1.50"
