"""The shipped Ascend files as configurations, with overrides."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig

CODELLAMA = Path(__file__).resolve().parents[3] / "configs" / "codellama"

Load = Callable[..., RunConfig]


@pytest.fixture(scope="session")
def load() -> Load:
    """(file name without its ending, overrides as (key, text)) -> the configuration."""

    def loaded(name: str, *overrides: tuple[str, str]) -> RunConfig:
        return load_config(CODELLAMA / f"{name}.yaml", overrides)

    return loaded
