"""What the operations of a network are called with: shapes of a real forward pass, without a compiler."""

from collections.abc import Iterator
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.kernels import Kernels
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss

Shapes = tuple[tuple[int, ...], ...]


class _Recorder:
    """In the place of a primitive: calls it, and keeps the shapes that it saw."""

    def __init__(self, primitive: ops.Primitive) -> None:
        self.primitive = primitive
        self.inputs: Shapes = ()
        self.output: tuple[int, ...] = ()

    def __call__(self, *arguments: Any) -> Any:
        result = self._computed(arguments)
        self.inputs = tuple(_shapes(arguments))
        self.output = tuple(next(_tensors(result)).shape)
        if isinstance(self.primitive, ops.OneHot):
            # a split of a one-hot table is one of its result, and of the two numbers in it
            self.inputs = (self.output, (), ())
        return result

    def _computed(self, arguments: tuple[Any, ...]) -> Any:
        """The two fused kernels, which CPUs do not have, return what has their result's shape."""
        if self.primitive.name == "RmsNorm":
            return arguments[0], None
        if self.primitive.name == "FlashAttentionScore":
            return None, None, None, arguments[0]
        return self.primitive(*arguments)


def recorded_shapes(config: ModelConfig, kernels: Kernels, rows: int) -> dict[str, tuple[Shapes, tuple[int, ...]]]:
    """Return (shapes of the inputs, shape of the output) of every operation by name, after one forward pass.

    Numbers are inputs of shape (); axes, formats and target shapes count as numbers, too, where they are some.
    """
    model, loss = LlamaForCausalLM(config, kernels), CausalLMLoss(config, kernels)
    recorders = {**_watched(model, ""), **_watched(loss, "loss")}
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        tokens = Tensor(np.ones((rows, config.seq_length), np.int32))
        loss(model(tokens), tokens, tokens)
    finally:
        ms.set_context(mode=mode)
    return {name: (recorder.inputs, recorder.output) for name, recorder in recorders.items()}


def _watched(cell: nn.Cell, prefix: str) -> dict[str, _Recorder]:
    found = {}
    for path, owner in cell.cells_and_names(name_prefix=prefix):
        for attribute, primitive in owner._primitives.items():
            recorder = found[f"{path}.{attribute}".lstrip(".")] = _Recorder(primitive)
            owner.__dict__[attribute] = recorder
    return found


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Tensor):
        yield value


def _shapes(values: tuple[Any, ...]) -> Iterator[tuple[int, ...]]:
    for value in values:
        if isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value):
            yield from _shapes(tuple(value))
        elif isinstance(value, Tensor):
            yield tuple(value.shape)
        elif isinstance(value, int | float):
            yield ()
