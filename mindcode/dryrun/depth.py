"""How many layers are compiled, and what follows for all of them. Pure Python.

    depths = sample(stage_layers(config, stage))                   # ({KEPT: 2}, {KEPT: 4})
    trend([2.0, 3.0], depths).at(stage_layers(config, stage))

Layers differ only in what is computed again in the backward pass. What a stage needs is a constant and a summand for
each layer, by that kind: as many compilations as there are unknowns give the answer, one more than kinds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mindcode.config.schema import RunConfig
from mindcode.planner.activations import Recompute, recompute_of_layers
from mindcode.planner.layout import layers_of_stages

WHOLE, NORMS, KEPT = "whole layer again", "norms again", "kept"
"""What the backward pass computes again of a layer, in the order in which a stage has them."""

KINDS = {
    Recompute.ALL: WHOLE,
    Recompute.ALL_BUT_MESSAGES: WHOLE,
    Recompute.NORMS_BUT_MESSAGES: NORMS,
    Recompute.NORMS: NORMS,
    Recompute.LITTLE: KEPT,
}

Layers = Mapping[str, int]
"""How many layers of each kind a stage has."""

FEW = 2
"""Of every kind of layer, the smallest number that is compiled: the borders of a stage do not count for more then."""


@dataclass(frozen=True)
class Trend:
    """A constant, and a summand for each layer by its kind."""

    constant: float
    per_layer: Mapping[str, float]

    def at(self, layers: Layers) -> float:
        """Return the value for so many layers."""
        return self.constant + sum(self.per_layer[kind] * count for kind, count in layers.items())


def trend(values: Sequence[float], depths: Sequence[Layers]) -> Trend:
    """Return what fits the values for the depths; a single one is all layers' and no constant."""
    kinds = list(dict.fromkeys(kind for depth in depths for kind in depth))
    has_constant = int(len(depths) > 1)
    known = np.array([[has_constant, *(depth.get(kind, 0) for kind in kinds)] for depth in depths], float)
    constant, *parts = np.linalg.lstsq(known, np.array(values, float), rcond=None)[0]
    return Trend(float(constant), dict(zip(kinds, map(float, parts), strict=True)))


def stage_layers(config: RunConfig, stage: int) -> Layers:
    """Return the layers of a stage by kind."""
    choices = recompute_of_layers(config)
    return Counter(KINDS[choices[layer]] for layer in layers_of_stages(config)[stage])


def sample(layers: Layers) -> tuple[Layers, ...]:
    """Return the layers of the compilations that make all of `layers` known; `layers` alone where they are few."""
    base = dict.fromkeys(layers, FEW)
    if sum(layers.values()) <= FEW * (len(layers) + 1):
        return (layers,)
    return (base, *({**base, kind: 2 * FEW} for kind in layers))


def first(layers: Layers, count: int) -> Layers:
    """Return the first `count` layers of a stage that has `layers`, or all of its last kind if it has fewer."""
    taken: Counter[str] = Counter()
    kinds = [kind for kind in (WHOLE, NORMS, KEPT) if layers.get(kind)]
    for kind in kinds:
        taken[kind] = min(layers[kind], count - taken.total())
    taken[kinds[-1]] += count - taken.total()
    return {kind: number for kind, number in taken.items() if number}


def overrides(layers: Layers, sizes: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Return the keys of a network whose stages have `sizes` layers, and of each kind no more than `layers`."""
    whole, norms, base = layers.get(WHOLE, 0), layers.get(NORMS, 0), sum(sizes) // len(sizes)
    again = {"recompute": whole, "select_recompute": whole + norms if norms else 0}
    return (
        ("model.model_config.num_layers", str(sum(sizes))),
        ("model.model_config.offset", str([size - base for size in sizes])),
        *((f"recompute_config.{key}", str([min(count, size) for size in sizes])) for key, count in again.items()),
    )


def alike(layers: Layers, stages: int) -> tuple[int, ...]:
    """Return the sizes of stages that all have `layers`."""
    return (sum(layers.values()),) * stages


def alone(layers: Layers, stages: int, stage: int) -> tuple[int, ...]:
    """Return the sizes of stages when only one of them matters: the others have a layer, which costs no time."""
    return tuple(sum(layers.values()) if place == stage else 1 for place in range(stages))
