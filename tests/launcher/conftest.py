"""A place to launch from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.launching import WORKER, Place, free_port


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with worker.py; whatever a test starts there is gone afterwards."""
    (tmp_path / "worker.py").write_text(WORKER)
    place = Place(tmp_path, free_port())
    yield place
    place.clear()
