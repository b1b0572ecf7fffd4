"""What every source of weights gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindcode.checkpoint.tensors import LazyTensor
from mindcode.config.model_schema import ModelConfig


@dataclass(frozen=True)
class Source:
    """Weights that were found, under our names and in our layout (half-rotation, [out, in]), but not yet read."""

    path: Path
    """What the user named, for messages."""
    config: ModelConfig | None
    """The sizes that the source states; None when it states none."""
    tensors: Mapping[str, LazyTensor]
    """Every weight by our name."""
    unknown: tuple[str, ...]
    """The source's names of tensors that a Llama network does not have."""
    files: tuple[Path, ...]
    """Every file of weights."""
    quantised: bool = False
    """Whether `tensors` are dequantised on the way."""
