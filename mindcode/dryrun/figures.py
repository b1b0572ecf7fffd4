"""Figures of a stage with all its layers and micro-batches: memory by use, and what is communicated. Pure Python.

memory_of(stage).peak, traffic_of(stage)
"""

from collections import Counter
from dataclasses import dataclass, replace

from mindcode.config.sizes import micro_batches_per_step
from mindcode.dryrun.dry_run import Compiled, Stage, micro_batches
from mindcode.dryrun.ir import STEP, Collective

USES = {"model.": "weights", "lm_head.": "weights", "adam_": "optimizer", "accu_grads.": "gradients"}
"""What a tensor that stays between steps is for, by the beginning of its name."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one NPU."""

    weights: int
    optimizer: int
    """Moments, and fp32 copies of the weights where the optimizer has them."""
    gradients: int
    """Buffers in which the gradients of micro-batches add up."""
    passing: int
    """The rest of the peak: activations, gathered weights, results of a moment, constants."""

    @property
    def peak(self) -> int:
        """Everything, at the moment of the largest need."""
        return self.weights + self.optimizer + self.gradients + self.passing


@dataclass(frozen=True)
class Traffic:
    """A kind of communication in one optimizer step."""

    collective: Collective
    count: int

    @property
    def bytes(self) -> int:
        """Size of all its tensors, each counted once whatever the algorithm of the network is."""
        return self.count * self.collective.tensor.bytes


def memory_of(stage: Stage) -> Memory:
    """Return the peak, and what of it stays in memory between steps."""
    peak = round(stage.with_all_layers([each.answer.device_bytes for each in stage.compiled]))
    resident = [resident_bytes(each) for each in stage.compiled]
    uses = {use: round(stage.with_all_layers([sizes[use] for sizes in resident])) for use in USES.values()}
    return Memory(**uses, passing=peak - sum(uses.values()))


def resident_bytes(compiled: Compiled) -> Counter[str]:
    """Return how much of each use stays in memory between steps."""
    sizes: Counter[str] = Counter()
    for name, tensor in compiled.graph.parameters.items():
        sizes[use_of(name)] += tensor.bytes
    return sizes


def use_of(name: str) -> str:
    """Return what a tensor is for: a value of USES, or "other"."""
    return next((use for prefix, use in USES.items() if name.startswith(prefix)), "other")


def traffic_of(stage: Stage) -> tuple[Traffic, ...]:
    """Return all communication of a step, the largest first."""
    factor = micro_batches_per_step(stage.config) / micro_batches(stage.config)
    counts = [_collectives(each) for each in stage.compiled]
    found = []
    for collective in dict.fromkeys(key for each in counts for key in each):
        count = stage.with_all_layers([each[collective] for each in counts])
        found.append(Traffic(collective, round(count * (1 if collective.phase == STEP else factor))))
    return tuple(sorted(found, key=lambda each: each.bytes, reverse=True))


def operators_by_kind(compiled: Compiled) -> dict[str, int]:
    """Return how often each kind of operator is in a graph, the most frequent first."""
    kinds: Counter[str] = Counter()
    for operator, count in compiled.graph.operators.items():
        kinds[operator.kind] += count
    return dict(kinds.most_common())


def _collectives(compiled: Compiled) -> Counter[Collective]:
    counts: Counter[Collective] = Counter()
    for collective, count in compiled.graph.collectives.items():
        counts[replace(collective, tag=0)] += count
    return counts
