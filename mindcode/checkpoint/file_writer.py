"""What the writers of .ckpt and of safetensors share: a file that appears, whole, when its `with` block ends well."""

import abc
import contextlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from mindcode.utils.atomic import atomic_open

Writer = TypeVar("Writer", bound="FileWriter")


class FileWriter(abc.ABC):
    """Opens the file and writes its head; at the end its tail, unless the block failed: then nothing is left."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._resources = contextlib.ExitStack()
        self._stream: IO[Any] | None = None

    @abc.abstractmethod
    def _head(self) -> bytes:
        """The bytes before the tensors."""

    @abc.abstractmethod
    def _tail(self) -> bytes:
        """The bytes after them. Raises ValueError when a tensor is not complete."""

    @property
    def _out(self) -> IO[Any]:
        if self._stream is None:
            raise ValueError(f"{self.path}: {type(self).__name__} is used in a with block")
        return self._stream

    def __enter__(self: Writer) -> Writer:
        self._stream = self._resources.enter_context(atomic_open(self.path, "wb"))
        self._stream.write(self._head())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._resources.__exit__(kind, error, trace)
            return
        with self._resources:
            self._out.write(self._tail())
