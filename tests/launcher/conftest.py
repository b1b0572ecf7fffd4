"""A place to launch from."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.launching import WORKER, Place, free_port


@pytest.fixture(autouse=True, scope="session")
def heard_signals() -> None:
    """Children hear the signals that these tests send, also when the tests run under nohup or in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with worker.py; whatever a test starts there is gone afterwards."""
    (tmp_path / "worker.py").write_text(WORKER)
    place = Place(tmp_path, free_port())
    yield place
    place.clear()
