"""Figures of a stage with all its layers and micro-batches: memory by use, and what is communicated. Pure Python.

memory_of(stage).peak, traffic_of(stage, "step")
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mindcode.config.sizes import micro_batches_per_step
from mindcode.dryrun.dry_run import Compiled, Stage, micro_batches
from mindcode.dryrun.ir import STEP, Collective, Graph, TensorType

WEIGHTS, OPTIMIZER, GRADIENTS, CACHE = "weights", "optimizer state", "gradients", "key/value cache"
USES = {
    r"(model|lm_head)\..*weight": WEIGHTS,
    r"adam_.*": OPTIMIZER,
    r"accu_grads\..*": GRADIENTS,
    r"model\..*\.core\.(keys|values)": CACHE,
}
"""What a tensor that stays in memory is for, by the pattern of its whole name; the rest is a few numbers."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one NPU."""

    resident: Mapping[str, int]
    """What stays between steps, by use."""
    passing: int
    """The rest of the peak: activations, gathered weights, results of a moment, constants."""

    @property
    def peak(self) -> int:
        """Everything, at the moment of the largest need."""
        return sum(self.resident.values()) + self.passing


@dataclass(frozen=True)
class Traffic:
    """A kind of communication in one step."""

    collective: Collective
    count: int

    @property
    def bytes(self) -> int:
        """Size of all its tensors, each counted once whatever the algorithm of the network is."""
        return self.count * self.collective.tensor.bytes


def memory_of(stage: Stage) -> Memory:
    """Return the peak, and what of it stays in memory between steps."""
    peak = round(stage.with_all_layers([each.answer.device_bytes for each in stage.compiled]))
    sizes = [_resident(each) for each in stage.compiled]
    uses = {use: round(stage.with_all_layers([size[use] for size in sizes])) for use in USES.values() if sizes[0][use]}
    return Memory(uses, peak - sum(uses.values()))


def parameters_of(compiled: Compiled) -> dict[str, TensorType]:
    """Return everything that stays in memory, by name."""
    return {name: tensor for graph in compiled.graphs.values() for name, tensor in graph.parameters.items()}


def use_of(name: str) -> str:
    """Return what a tensor is for: a value of USES, or "other"."""
    return next((use for pattern, use in USES.items() if re.fullmatch(pattern, name)), "other")


def traffic_of(stage: Stage, graph: str) -> tuple[Traffic, ...]:
    """Return all communication of a step, the largest first."""
    factor = micro_batches_per_step(stage.config) / micro_batches(stage.config)
    counts = [_collectives(each.graphs[graph]) for each in stage.compiled]
    found = []
    for collective in dict.fromkeys(key for each in counts for key in each):
        count = stage.with_all_layers([each[collective] for each in counts])
        found.append(Traffic(collective, round(count * (1 if collective.phase == STEP else factor))))
    return tuple(sorted(found, key=lambda each: each.bytes, reverse=True))


def operators_by_kind(graph: Graph) -> dict[str, int]:
    """Return how often each kind of operator is in a graph, the most frequent first."""
    kinds: Counter[str] = Counter()
    for operator, count in graph.operators.items():
        kinds[operator.kind] += count
    return dict(kinds.most_common())


def _resident(compiled: Compiled) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for name, tensor in parameters_of(compiled).items():
        sizes[use_of(name)] += tensor.bytes
    return sizes


def _collectives(graph: Graph) -> Counter[Collective]:
    """What really communicates: MindSpore also writes some among the ranks of a group of one."""
    counts: Counter[Collective] = Counter()
    for collective, count in graph.collectives.items():
        if len(collective.group) > 1 or collective.kind in ("Send", "Receive"):
            counts[replace(collective, tag=0)] += count
    return counts
