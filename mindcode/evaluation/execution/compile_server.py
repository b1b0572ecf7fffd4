"""A compiler that stays: one process compiles program after program, so that its start is paid once.

It runs none of what it compiles. The protocol is the one of assembly/data/Compiler.java.
"""

import os
import select
import signal
import struct
import subprocess
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress


class CompilerError(Exception):
    """The program does not compile; the text is the compiler's."""


class CompileServer:
    """Compiles, and is started again when a program was too much for it."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._command = command
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def compile(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return file name -> content in base 64 of what was made of the sources. Raises CompilerError."""
        process = self._process or self._start()
        self._process = None
        try:
            classes, messages = self._exchange(process, files)
        except (OSError, EOFError, TimeoutError) as error:
            _end(process)
            raise CompilerError(f"error: the compiler gave up: {error}") from error
        self._process = process
        if not classes:
            raise CompilerError(messages)
        return {f"{name}.class": b64encode(content).decode() for name, content in classes.items()}

    def close(self) -> None:
        """End the process."""
        if self._process:
            _end(self._process)
            self._process = None

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    def _exchange(self, process: "subprocess.Popen[bytes]", files: Mapping[str, str]) -> tuple[dict[str, bytes], str]:
        assert process.stdin and process.stdout
        request = struct.pack(">i", len(files)) + b"".join(_block(text) for item in files.items() for text in item)
        process.stdin.write(request)
        reader = _Reader(process.stdout.fileno(), time.monotonic() + self._seconds)
        classes = {reader.block().decode(): reader.block() for _ in range(reader.number())}
        return classes, reader.block().decode(errors="replace")


class _Reader:
    """Reads numbers and blocks until a moment."""

    def __init__(self, descriptor: int, deadline: float) -> None:
        self._descriptor = descriptor
        self._deadline = deadline

    def number(self) -> int:
        return int(struct.unpack(">i", self._exactly(4))[0])

    def block(self) -> bytes:
        return self._exactly(self.number())

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left = max(self._deadline - time.monotonic(), 0.0)
            if not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError("it took too long")
            part = os.read(self._descriptor, count - len(parts))
            if not part:
                raise EOFError("it ended")
            parts += part
        return bytes(parts)


def _block(text: str) -> bytes:
    content = text.encode("utf-8", "replace")
    return struct.pack(">i", len(content)) + content


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
