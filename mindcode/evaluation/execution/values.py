"""Plain values on a wire: what may pass between the tests and the code under test.

Numbers, text, bytes, lists, tuples, dicts, sets, None, ranges and iterators are written as JSON with tags and built
anew on the other side, so that nothing that belongs to the code under test (a class, a method, `__eq__`) gets across.
A subclass of a plain type arrives as that type, a NumPy scalar as its Python value. Frames are a length (4 bytes,
big-endian) and the JSON text.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

MAX_FRAME_BYTES = 16 * 1024 * 1024
_MAX_ITERATED = 100_000
_HEADER_BYTES = 4


class NotPlainError(Exception):
    """A value that is none of the plain ones."""


def encode(value: Any) -> Any:
    """Return `value` as JSON data; raise NotPlainError, or RecursionError for a value that contains itself."""
    if value is None or value is True or value is False:
        return value
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    if getattr(value, "shape", None) == ():
        return encode(value.item())
    if isinstance(value, Iterator):
        return {"iterator": [encode(item) for item in itertools.islice(value, _MAX_ITERATED)]}
    raise NotPlainError(f"a value of type {type(value).__name__} is not a plain value")


def decode(data: Any) -> Any:
    """Build the value that `encode` described."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if isinstance(data, dict):
        ((tag, content),) = data.items()
        return _READERS[tag](content)
    return data


def _write_text(value: str) -> Any:
    text = str.__str__(value)
    return text if text.isprintable() else {"text": text.encode("utf-8", "surrogatepass").hex()}


def _write_int(value: int) -> Any:
    number = int(value)
    return number if -(2**53) < number < 2**53 else {"int": hex(number)}


def _write_items(tag: str) -> Callable[[Any], Any]:
    return lambda value: {tag: [encode(item) for item in value]}


def _write_dict(value: dict[Any, Any]) -> Any:
    return {"dict": [[encode(key), encode(item)] for key, item in dict.items(value)]}


_WRITERS: Mapping[Any, Callable[[Any], Any]] = {
    bool: bool,
    int: _write_int,
    float: lambda value: {"float": float(value).hex()},
    str: _write_text,
    list: lambda value: [encode(item) for item in list.__iter__(value)],
    tuple: _write_items("tuple"),
    dict: _write_dict,
    set: _write_items("set"),
    frozenset: _write_items("frozenset"),
    bytes: lambda value: {"bytes": bytes(value).hex()},
    bytearray: lambda value: {"bytearray": bytes(value).hex()},
    complex: lambda value: {"complex": [encode(value.real), encode(value.imag)]},
    range: lambda value: {"range": [value.start, value.stop, value.step]},
    type({}.keys()): _write_items("set"),
    Fraction: lambda value: {"fraction": [encode(value.numerator), encode(value.denominator)]},
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "float": float.fromhex,
    "text": lambda content: bytes.fromhex(content).decode("utf-8", "surrogatepass"),
    "tuple": lambda content: tuple(decode(content)),
    "dict": lambda content: {decode(key): decode(item) for key, item in content},
    "set": lambda content: set(decode(content)),
    "frozenset": lambda content: frozenset(decode(content)),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda content: complex(*decode(content)),
    "range": lambda content: range(*content),
    "fraction": lambda content: Fraction(*decode(content)),
    "iterator": lambda content: iter(decode(content)),
}


def send(descriptor: int, message: Mapping[str, Any]) -> None:
    """Write one frame; raise NotPlainError when it is too large, OSError when the other side is gone."""
    body = json.dumps(message).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise NotPlainError(f"a value of {len(body)} bytes is larger than {MAX_FRAME_BYTES}")
    frame = memoryview(len(body).to_bytes(_HEADER_BYTES, "big") + body)
    while frame:
        frame = frame[os.write(descriptor, frame) :]


def receive(descriptor: int) -> dict[str, Any]:
    """Read one frame; raise EOFError when the other side is gone, ValueError for anything that is not a frame."""
    size = int.from_bytes(_read_exactly(descriptor, _HEADER_BYTES), "big")
    if size > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {size} bytes is larger than {MAX_FRAME_BYTES}")
    message = json.loads(_read_exactly(descriptor, size))
    if not isinstance(message, dict):
        raise ValueError("a frame holds a JSON object")
    return message


def _read_exactly(descriptor: int, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, min(count - len(parts), 1 << 16))
        if not part:
            raise EOFError("the other side has closed the pipe")
        parts += part
    return bytes(parts)
