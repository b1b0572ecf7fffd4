"""Number formats of weights: one table of their names in every file format, and exact conversions between them.

numpy has no bfloat16: such numbers are kept as their 16 bits in uint16 and converted with integer arithmetic.
"""

import functools
from dataclasses import dataclass

import numpy as np

from mindcode.utils.errors import UserError

FLOAT32, FLOAT16, BFLOAT16 = "Float32", "Float16", "BFloat16"


@dataclass(frozen=True)
class NumberFormat:
    """`name` is MindSpore's, `storage` the numpy dtype of the bytes, the others are what different files call it."""

    name: str
    storage: np.dtype
    safetensors: str = ""
    torch: str = ""
    flag: str = ""


def _row(name: str, storage: str, safetensors: str = "", torch: str = "", flag: str = "") -> NumberFormat:
    return NumberFormat(name, np.dtype(storage), safetensors, torch, flag)


_TABLE = (
    _row(FLOAT32, "<f4", "F32", "float32", "fp32"),
    _row(FLOAT16, "<f2", "F16", "float16", "fp16"),
    _row(BFLOAT16, "<u2", "BF16", "bfloat16", "bf16"),
    _row("Float64", "<f8"),
    _row("Bool", "?"),
    _row("Int8", "i1"),
    _row("Int16", "<i2"),
    _row("Int32", "<i4"),
    _row("Int64", "<i8"),
    _row("UInt8", "u1"),
    _row("UInt16", "<u2"),
    _row("UInt32", "<u4"),
    _row("UInt64", "<u8"),
)
FORMATS = {row.name: row for row in _TABLE}
BY_SAFETENSORS = {row.safetensors: row for row in _TABLE if row.safetensors}
BY_FLAG = {row.flag: row for row in _TABLE if row.flag}


def bfloat16_to_float32(bits: np.ndarray) -> np.ndarray:
    """Widen bfloat16 (uint16 bits) to float32; exact."""
    wide: np.ndarray = np.left_shift(bits, 16, dtype=np.uint32)
    return wide.view(np.float32)


def float32_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16 bits, ties to even; NaN stays NaN, magnitudes above the largest become infinite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += bits
    rounded >>= np.uint32(16)
    result = rounded.astype(np.uint16)
    nan = np.isnan(values)
    if nan.any():
        result[nan] = ((bits[nan] >> np.uint32(16)) | np.uint32(0x40)).astype(np.uint16)
    return result


def to_float32(array: np.ndarray, dtype: str) -> np.ndarray:
    """Widen an array stored in format `dtype` to float32; exact for the three formats of weights."""
    return bfloat16_to_float32(array) if dtype == BFLOAT16 else array.astype(np.float32, copy=False)


def convert(array: np.ndarray, source: str, target: str, name: str) -> np.ndarray:
    """Convert a block of tensor `name` between Float32, Float16 and BFloat16, rounding to nearest even.

    Raises UserError when a finite number becomes infinite in the target format.
    """
    if source == target:
        return array
    if target == FLOAT32:
        return to_float32(array, source)
    if source == FLOAT32:
        narrow = _narrowed(array, target)
    else:
        # indices are 16 bits and the table has all of them; "clip" only spares numpy the check
        narrow = np.take(_table(source, target), array.view(np.uint16), mode="clip")
    infinite = (narrow.view(np.uint16) & np.uint16(0x7FFF)) == _INFINITY[target]
    if infinite.any():
        lost = np.abs(to_float32(array, source)[infinite])
        if np.isfinite(lost).any():
            worst = lost[np.isfinite(lost)].max()
            raise UserError(f"{name}: {worst:g} does not fit into {FORMATS[target].flag}; choose --dtype fp32")
    return narrow


_INFINITY = {FLOAT16: np.uint16(0x7C00), BFLOAT16: np.uint16(0x7F80)}


def _narrowed(wide: np.ndarray, target: str) -> np.ndarray:
    if target == BFLOAT16:
        return float32_to_bfloat16(wide)
    with np.errstate(over="ignore"):
        return wide.astype(np.float16)


@functools.cache
def _table(source: str, target: str) -> np.ndarray:
    """All 65,536 numbers of one 16-bit format in the other: looking them up is three times as fast as rounding."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = to_float32(bits.view(FORMATS[source].storage), source)
    return _narrowed(wide, target)
