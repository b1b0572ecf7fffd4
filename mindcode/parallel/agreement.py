"""What all processes of a run must do alike although they find it out one by one: where to start, when to stop.

    agreement = Agreement(processes.everyone)
    path = agreement.path(lambda: store.newest())        # what the first process finds, for all
    if agreement.anyone(interrupted()):
        ...

Everything here waits for all processes, so all must come to it in the same order. A process that is alone asks itself.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mindcode.runtime.distributed import Group, GroupSum
from mindcode.utils.errors import UserError

MESSAGE_BYTES = 8192
_PATH, _ERROR = b"P", b"E"


class Agreement:
    """Questions with one answer for all processes."""

    def __init__(self, everyone: Group) -> None:
        self._alone, self._is_first = everyone.size == 1, everyone.index == 0
        self._sum = GroupSum(everyone)

    def path(self, find: Callable[[], Path | None]) -> Path | None:
        """Call `find` on the first process and return its result on all; a UserError of it is raised on all.

        Files may appear and vanish while processes look at different moments; so only one of them looks.
        """
        if self._alone:
            return find()
        message = message_of(find) if self._is_first else b""
        numbers = np.zeros(MESSAGE_BYTES, np.float32)
        numbers[: len(message)] = list(message)
        return answer_of(bytes(self._sum(numbers).astype(np.uint8)).rstrip(b"\0"))

    def anyone(self, flag: bool) -> bool:
        """Whether `flag` is true on any process."""
        return bool(self._sum(np.array([flag], np.float32))[0] > 0)

    def barrier(self) -> None:
        """Return when all processes have come here."""
        self._sum.barrier()


def message_of(find: Callable[[], Path | None]) -> bytes:
    """Return what `find` returns or raises, in at most MESSAGE_BYTES; nothing for None."""
    try:
        path = find()
    except UserError as error:
        return (_ERROR + os.fsencode(str(error)))[:MESSAGE_BYTES]
    return b"" if path is None else (_PATH + os.fsencode(path))[:MESSAGE_BYTES]


def answer_of(message: bytes) -> Path | None:
    """Return the path in a message, or raise the UserError in it."""
    if message.startswith(_ERROR):
        raise UserError(message[1:].decode("utf-8", errors="replace"))
    return Path(os.fsdecode(message[1:])) if message else None
