"""Recognising files that are too large to read whole."""

import hashlib
from pathlib import Path

_BLOCKS, _BLOCK_BYTES = 64, 64 * 1024


def fingerprint(*files: Path) -> str:
    """Return a SHA-256 over the size of each file and 64 blocks of 64 KiB spread over it: quick for any size."""
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(str(size).encode())
        with open(file, "rb") as stream:
            for number in range(_BLOCKS):
                stream.seek(max(0, size - _BLOCK_BYTES) * number // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()
