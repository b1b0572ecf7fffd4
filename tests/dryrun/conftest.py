"""A cache of its own, in which the stub of CANN is built once for all tests of dry runs."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindcode.runtime.simulation import TOOLS


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that XDG_CACHE_HOME names during these tests."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the stub of CANN cannot be built (apt-get install g++)")
    folder, before = tmp_path_factory.mktemp("cache"), os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
