"""Ctrl-C and SIGTERM at a moment of the program's own choosing."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether an interrupt arrived; a second one acts at once, as KeyboardInterrupt.

    Outside the main thread, where Python takes no signals, the function always returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    arrived = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if arrived.is_set():
            raise KeyboardInterrupt
        arrived.set()

    previous = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield arrived.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
