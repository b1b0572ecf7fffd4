"""Graph mode on the CPU, run where the compiler's dumps do no harm."""

from collections.abc import Iterator

import pytest

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context


@pytest.fixture(autouse=True, scope="module")
def graph_mode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Graph mode on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("compiler"))
        set_context(ContextConfig(device_target="CPU"))
        yield
