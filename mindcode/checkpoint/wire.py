"""The four rules of protobuf's wire format that a .ckpt file needs: variable-length integers, keys, spans, skipping.

Works on anything that is indexed by byte position (bytes, a memory map), and touches only the bytes of the headers.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

VARINT, FIXED64, SPAN, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}


class Buffer(Protocol):
    """Bytes by position."""

    def __getitem__(self, position: int, /) -> int: ...


class WireError(ValueError):
    """The bytes are not a protobuf message, or end too early; `position` is where that shows."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


class Field(NamedTuple):
    """One field: its number and kind, the integer (VARINT) or the bytes `start`..`stop` (all others)."""

    number: int
    kind: int
    value: int
    start: int
    stop: int


def fields(buffer: Buffer, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message in `buffer[start:stop]`; raises WireError where it is not one."""
    position = start
    while position < stop:
        key, position = _varint(buffer, position, stop)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise WireError(position, "field number 0")
        value = 0
        begin = position
        if kind == VARINT:
            value, position = _varint(buffer, position, stop)
        elif kind == SPAN:
            length, begin = _varint(buffer, position, stop)
            position = begin + length
        elif kind in _FIXED_SIZES:
            position = begin + _FIXED_SIZES[kind]
        else:
            raise WireError(begin, f"wire type {kind}")
        if position > stop:
            raise WireError(begin, f"a field of {position - begin} bytes where {stop - begin} are left")
        yield Field(number, kind, value, begin, position)


def varints(buffer: Buffer, start: int, stop: int) -> Iterator[int]:
    """Yield the integers of a packed repeated field."""
    position = start
    while position < stop:
        value, position = _varint(buffer, position, stop)
        yield value


def _varint(buffer: Buffer, position: int, stop: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= stop:
            raise WireError(position, "an integer that is cut off")
        byte = buffer[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise WireError(position, "an integer of more than 10 bytes")


def encode_varint(value: int) -> bytes:
    """Encode a non-negative integer."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append((value & 0x7F) | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def integer_field(number: int, value: int) -> bytes:
    """Encode a field that holds a non-negative integer."""
    return encode_varint(number << 3 | VARINT) + encode_varint(value)


def span_header(number: int, length: int) -> bytes:
    """Encode what stands before the `length` bytes of a string, bytes or message field."""
    return encode_varint(number << 3 | SPAN) + encode_varint(length)


def span_field(number: int, content: bytes) -> bytes:
    """Encode a string, bytes or message field."""
    return span_header(number, len(content)) + content
