"""Conversions between number formats: exact where they can be, nearest-even where not, loud where a number is lost."""

import numpy as np
import pytest

from mindcode.checkpoint.dtypes import bfloat16_to_float32, convert, float32_to_bfloat16
from mindcode.utils.errors import UserError

EVERY_BFLOAT16 = np.arange(1 << 16, dtype=np.uint16)


def test_every_bfloat16_survives_the_way_through_float32() -> None:
    wide = bfloat16_to_float32(EVERY_BFLOAT16)
    back = float32_to_bfloat16(wide)
    number = ~np.isnan(wide)
    assert np.array_equal(back[number], EVERY_BFLOAT16[number])
    assert np.isnan(bfloat16_to_float32(back[~number])).all()


def test_rounding_to_bfloat16_takes_the_nearest_and_ties_the_even_one() -> None:
    random = np.random.default_rng(0)
    values = (random.standard_normal(20_000) * 10.0 ** random.integers(-30, 30, 20_000)).astype(np.float32)
    ties = bfloat16_to_float32(EVERY_BFLOAT16[0x3F00:0x4100]).view(np.uint32) + np.uint32(0x8000)
    values = np.concatenate([values, ties.view(np.float32), -ties.view(np.float32)])
    found = float32_to_bfloat16(values)
    lower = (values.view(np.uint32) >> 16).astype(np.uint16)  # towards zero
    upper = lower + np.uint16(1)
    exact = values.astype(np.float64)
    below, above = (np.abs(bfloat16_to_float32(b).astype(np.float64) - exact) for b in (lower, upper))
    even = np.where(lower % 2 == 0, lower, upper)
    assert np.array_equal(found, np.where(below < above, lower, np.where(above < below, upper, even)))


@pytest.mark.parametrize(("target", "value", "flag"), [("Float16", 7e4, "fp16"), ("BFloat16", 3.4e38, "bf16")])
def test_a_number_that_does_not_fit_is_named(target: str, value: float, flag: str) -> None:
    block = np.array([1.0, value], np.float32)
    with pytest.raises(UserError, match=rf"w\.weight: .* does not fit into {flag}; choose"):
        convert(block, "Float32", target, "w.weight")


def test_infinities_and_nan_of_the_source_are_kept() -> None:
    block = np.array([np.inf, -np.inf, np.nan], np.float32)
    assert np.array_equal(convert(block, "Float32", "Float16", "w"), block.astype(np.float16), equal_nan=True)
    assert np.array_equal(bfloat16_to_float32(convert(block, "Float32", "BFloat16", "w")), block, equal_nan=True)


def test_the_same_format_is_passed_through() -> None:
    assert convert(EVERY_BFLOAT16, "BFloat16", "BFloat16", "w") is EVERY_BFLOAT16
