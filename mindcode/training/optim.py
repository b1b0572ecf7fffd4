"""AdamW (Loshchilov and Hutter 2019) with state in fp32, as a cell that updates parameters in place.

    optimizer = AdamW(model.trainable_params(), config, RULES["AdamW"])
    optimizer(gradients, scale, scalars, ok)          # inside a graph

Every number that changes from step to step is an input, computed on the host by `step_scalars`, so that one graph
serves all steps. MindSpore's fused `Adam` primitive does the work; bias correction and its absence are only different
inputs to it. It adds eps to √v before the correction of v, the paper after it: eps · √(1 - β₂ᵗ) makes them the same.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcode.config.optimizers import AdamRule
from mindcode.config.schema import OptimizerConfig

FIRST, SECOND, MASTER = "adam_m", "adam_v", "adam_master"


class Scalars(NamedTuple):
    """What one update needs besides the gradients."""

    learning_rate: float
    decay: float
    """1 - learning rate · weight decay: the factor on decayed parameters."""
    beta1_power: float
    beta2_power: float
    eps: float

    def tensor(self) -> Tensor:
        """All numbers in one fp32 vector: the form in which they enter the graph."""
        return Tensor(np.array(self, np.float32))


def step_scalars(config: OptimizerConfig, rule: AdamRule, learning_rate: float, update: int) -> Scalars:
    """Return the numbers of update number `update`, counted from 1 and without skipped steps."""
    power1, power2 = (config.beta1**update, config.beta2**update) if rule.bias_correction else (0.0, 0.0)
    decay = 1.0 - learning_rate * config.weight_decay
    return Scalars(learning_rate, decay, power1, power2, config.eps * math.sqrt(1.0 - power2))


def is_decayed(parameter: Parameter) -> bool:
    """Matrices decay; norms and biases do not."""
    return len(parameter.shape) > 1 and not parameter.name.endswith("bias")


class AdamW(nn.Cell):
    """(gradients, gradient scale, scalars, ok) -> None: updates `parameters`, its moments and master copies in place.

    Each gradient is multiplied by the scale in fp32 before use. Where `ok` (a boolean scalar) is False nothing changes,
    whatever the gradients hold; only a cell built with `can_skip` looks at it, for that costs a pass over them. The
    parameters are updated in parts, each of which waits for the one before it: left to itself the compiler computes
    what it can for all of them at once, and keeps that.
    """

    def __init__(
        self, parameters: Sequence[Parameter], config: OptimizerConfig, rule: AdamRule, can_skip: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.first = _fp32_zeros(parameters, FIRST)
        self.second = _fp32_zeros(parameters, SECOND)
        self.targets = ParameterTuple(_fp32_copy(p) if rule.master_copy and _is_half(p) else p for p in parameters)
        self.copied = tuple(rule.master_copy and _is_half(p) for p in parameters)
        self.in_fp32 = tuple(not _is_half(p) for p in self.targets)
        self.decayed = tuple(config.weight_decay > 0 and is_decayed(p) for p in parameters)
        self.can_skip = can_skip
        self.parts = _parts([math.prod(p.shape) for p in parameters])
        self.beta1, self.beta2 = Tensor(config.beta1, ms.float32), Tensor(config.beta2, ms.float32)
        self.adam, self.map = ops.Adam(), ops.HyperMap()
        self.cast, self.assign, self.select = ops.Cast(), ops.Assign(), ops.Select()
        self.zero, self.one = Tensor(0.0, ms.float32), Tensor(1.0, ms.float32)

    @property
    def state(self) -> list[Parameter]:
        """What a checkpoint needs besides the parameters themselves."""
        copies = [target for target, copied in zip(self.targets, self.copied, strict=True) if copied]
        return [*self.first, *self.second, *copies]

    def refresh(self) -> None:
        """Follow the parameters, after they were set from outside: they are what is updated, so nothing is to do."""

    def refresh_copies(self) -> None:
        """Set the fp32 copies to the parameters, after these were loaded without an optimizer's state."""
        for target, parameter, copied in zip(self.targets, self.parameters, self.copied, strict=True):
            if copied:
                target.set_data(parameter.astype(ms.float32))

    def construct(self, gradients: tuple[Tensor, ...], scale: Tensor, scalars: Tensor, ok: Tensor) -> Tensor:
        rate, decay, power1, power2, eps = scalars
        beta1, beta2 = self.beta1, self.beta2
        if self.can_skip:
            rate, decay = self.select(ok, rate, self.zero), self.select(ok, decay, self.one)
            beta1, beta2 = self.select(ok, beta1, self.one), self.select(ok, beta2, self.one)
        for start, stop in self.parts:
            numbers = (rate, decay, beta1, beta2, power1, power2, eps)
            done = self.map(
                ops.partial(self._update, ok, scale, numbers),
                self.in_fp32[start:stop],
                self.copied[start:stop],
                self.decayed[start:stop],
                self.parameters[start:stop],
                self.targets[start:stop],
                self.first[start:stop],
                self.second[start:stop],
                gradients[start:stop],
            )
            scale, decay = ops.depend(scale, done), ops.depend(decay, done)
            beta1, beta2 = ops.depend(beta1, done), ops.depend(beta2, done)
        return ops.depend(ok, scale)

    def _update(self, ok, scale, numbers, in_fp32, copied, decayed, parameter, target, first, second, gradient):  # type: ignore[no-untyped-def]
        """Update one parameter and return a tensor that is there afterwards.

        The graph compiler specialises this on its three constant booleans.
        """
        rate, decay, beta1, beta2, power1, power2, eps = numbers
        gradient = self.cast(ops.depend(gradient, scale), ms.float32) * scale  # not before the part begins
        if self.can_skip:
            # any finite tensor will do, for its share is 0; zeros would be a constant of this size on the device
            gradient = self.select(ok, gradient, first)
        if in_fp32:
            if decayed:
                self.assign(target, target * decay)
            applied = self.adam(target, first, second, power1, power2, rate, beta1, beta2, eps, gradient)
            if copied:
                self.assign(parameter, self.cast(target, parameter.dtype))
            return ops.depend(gradient, applied)
        new_first = beta1 * first + (1 - beta1) * gradient
        new_second = beta2 * second + (1 - beta2) * gradient * gradient
        corrected = rate * ops.sqrt(1 - power2) / (1 - power1)
        kept = self.cast(parameter, ms.float32) * decay if decayed else self.cast(parameter, ms.float32)
        updated = kept - corrected * new_first / (ops.sqrt(new_second) + eps)
        self.assign(parameter, self.cast(updated, parameter.dtype))
        self.assign(first, new_first)
        self.assign(second, new_second)
        return new_second


def _parts(sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (first, last + 1) of runs of parameters that have together no more elements than the largest of all."""
    bounds, taken, largest = [0], 0, max(sizes)
    for index, size in enumerate(sizes):
        if taken + size > largest:
            bounds.append(index)
            taken = 0
        taken += size
    return tuple(itertools.pairwise([*bounds, len(sizes)]))


def _is_half(parameter: Parameter) -> bool:
    return parameter.dtype in (ms.float16, ms.bfloat16)


def _fp32_zeros(parameters: Sequence[Parameter], prefix: str) -> ParameterTuple:
    return ParameterTuple(_fp32_state(p, prefix) for p in parameters)


def _fp32_copy(parameter: Parameter) -> Parameter:
    copy = _fp32_state(parameter, MASTER)
    if not parameter.has_init:  # a parameter whose values are still to come has nothing to copy, see refresh_copies
        copy.set_data(parameter.astype(ms.float32))
    return copy


def _fp32_state(parameter: Parameter, prefix: str) -> Parameter:
    """Return zeros, as a clone: a compiler that splits the parameter splits its clones alike."""
    state = parameter.clone(init="zeros")
    if state.has_init:  # values that are still to come: of this type from the start, or they are made twice
        state.init_mode.set_dtype(ms.float32)
    state.set_dtype(ms.float32)
    state.name, state.requires_grad = f"{prefix}.{parameter.name}", False
    return state
