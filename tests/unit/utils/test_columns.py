"""Columns of words."""

from mindcode.utils.columns import aligned


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("name", "bytes", ""), ("wq", "4,096", "whole"), ("norm", "64", "")]
    assert aligned(rows) == ["name  bytes", "wq    4,096  whole", "norm  64"]
    assert aligned(rows, right={1}) == ["name  bytes", "wq    4,096  whole", "norm     64"]


def test_nothing_is_no_line() -> None:
    assert aligned([]) == []
