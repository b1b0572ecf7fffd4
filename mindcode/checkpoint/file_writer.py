"""What the writers of .ckpt and of safetensors share: a file that appears, whole, when its `with` block ends well."""

import abc
import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from mindcode.utils.atomic import atomic_open

Writer = TypeVar("Writer", bound="FileWriter")

RELEASE_BYTES = 128 << 20
"""How much is written between two calls that let the system forget what is on the disk."""


class FileWriter(abc.ABC):
    """Opens the file and writes its head; at the end its tail, unless the block failed: then nothing is left."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._resources = contextlib.ExitStack()
        self._stream: IO[Any] | None = None
        self._unreleased = 0

    @abc.abstractmethod
    def _head(self) -> bytes:
        """The bytes before the tensors."""

    @abc.abstractmethod
    def _tail(self) -> bytes:
        """The bytes after them. Raises ValueError when a tensor is not complete."""

    def _put(self, content: bytes | memoryview) -> None:
        """Write the next bytes.

        A long file is sent to the disk as it grows and leaves the page cache: it does not drive out what others
        need, and writing into pages used a moment ago takes a third of the time that untouched memory takes.
        """
        if self._stream is None:
            raise ValueError(f"{self.path}: {type(self).__name__} is used in a with block")
        self._stream.write(content)
        self._unreleased += len(content)
        if self._unreleased >= RELEASE_BYTES:
            _release(self._stream.fileno())
            self._unreleased = 0

    def __enter__(self: Writer) -> Writer:
        self._stream = self._resources.enter_context(atomic_open(self.path, "wb"))
        self._put(self._head())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._resources.__exit__(kind, error, trace)
            return
        with self._resources:
            self._put(self._tail())


def _release(descriptor: int) -> None:
    """Start to write back what a file has in the page cache, and forget what is on the disk; Linux only."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
