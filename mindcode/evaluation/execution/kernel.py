"""What Linux's kernel is asked for that Python has no function for, and whether it grants it."""

import ctypes
import os
import sys
from collections.abc import Callable


def prctl(option: int, *arguments: int) -> None:
    """Change a setting of the calling process (linux/prctl.h); elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, *arguments, *[0] * (4 - len(arguments)))


def works_in_a_child(attempt: Callable[[], bool]) -> bool:
    """Try what cannot be undone in a process that ends with it; an error counts as no."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if attempt() else 1)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
