"""Does the compiled graph do what the plan says? Every check answers with numbers. Pure Python.

for check in checks_of(stage):
    check.ok, check.what, check.numbers
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

from mindcode.checkpoint.placements import weight_of
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.dryrun.depth import WHOLE, stage_layers
from mindcode.dryrun.dry_run import Stage, micro_batches
from mindcode.dryrun.figures import memory_of, use_of
from mindcode.dryrun.ir import COLLECTIVES, FORWARD, Collective, Operator
from mindcode.dryrun.pairing import sent, unpaired
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import blocks_on
from mindcode.planner.memory import rank_memory

WITHOUT_STRATEGY = (*COLLECTIVES, "Reshape", "TupleGetItem", "MakeTuple", "Depend", "Load", "UpdateState")
"""Kinds that need none: what MindSpore inserts, what it lays out from both sides, what computes nothing."""


class Check(NamedTuple):
    """One question and its answer."""

    what: str
    ok: bool
    numbers: str


class LayerCounts(NamedTuple):
    """What one more layer adds to the forward pass of a micro-batch."""

    operators: Mapping[Operator, int]
    collectives: Mapping[Collective, int]


def checks_of(stage: Stage) -> list[Check]:
    """Return the answers for a stage of a training run."""
    layer = _one_layer(stage)
    of_a_layer = [check(layer, stage.config, stage.rank) for check in OF_A_LAYER] if layer else []
    return [_shapes(stage), _planned_bytes(stage), *of_a_layer]


def pairing(stages: Sequence[Stage]) -> list[Check]:
    """Return whether what the stages send each other is received, for each depth that all of them compiled."""
    checks = []
    for compiled in zip(*(stage.compiled for stage in stages), strict=False):
        graphs = {stage.rank: each.graph for stage, each in zip(stages, compiled, strict=True)}
        problems, total = unpaired(graphs), sent(graphs).total()
        told = f"{total} in pairs" if not problems else f"{len(problems)} of {total}, first {problems[0]}"
        checks.append(Check("Sends and Receives between the stages", not problems, told))
    return checks


def _shapes(stage: Stage) -> Check:
    """Weights and optimizer state have the shapes of the plan's blocks, and none is missing."""
    deepest = stage.compiled[-1]
    blocks = blocks_on(load_config(Path(deepest.job.config), deepest.job.overrides), stage.rank)
    held = {name: t for name, t in deepest.graph.parameters.items() if use_of(name) in ("weights", "optimizer")}
    wrong = [
        f"{name} is {list(tensor.shape)}"
        for name, tensor in held.items()
        if weight_of(name) not in blocks or blocks[weight_of(name)].shape != tensor.shape
    ]
    wrong += [f"{name} is missing" for name in blocks if name not in held]
    told = f"{len(held)} tensors as planned" if not wrong else f"{len(wrong)} otherwise, first {wrong[0]}"
    return Check("local shapes of weights and optimizer state", not wrong, told)


def _planned_bytes(stage: Stage) -> Check:
    """Weights and optimizer state take what `mindcode plan` says."""
    found, planned = memory_of(stage), rank_memory(stage.config, stage.rank)
    pairs = ((found.weights, planned.parameters), (found.optimizer, planned.optimizer_state))
    told = ", ".join(f"{ours:,} compiled and {theirs:,} planned" for ours, theirs in pairs)
    return Check("bytes of weights, of optimizer state", all(ours == theirs for ours, theirs in pairs), told)


def _one_layer(stage: Stage) -> LayerCounts | None:
    """Return what a layer adds, if several depths were compiled and layers do their forward pass only once."""
    kinds = [kind for kind in stage_layers(stage.config, stage.number) if kind != WHOLE]
    if len(stage.compiled) < 2 or not kinds:
        return None
    graphs, count = [each.graph for each in stage.compiled], micro_batches(stage.config)

    def added(values: list[int]) -> int:
        return round(stage.trend(values).per_layer[kinds[0]] / count)

    operators = {key: added([g.operators.get(key, 0) for g in graphs]) for g in graphs for key in g.operators}
    collectives = {key: added([g.collectives.get(key, 0) for g in graphs]) for g in graphs for key in g.collectives}
    return LayerCounts(
        {key: number for key, number in operators.items() if number and key.phase == FORWARD},
        {key: number for key, number in collectives.items() if number and key.phase == FORWARD},
    )


def _collectives(layer: LayerCounts, config: RunConfig, rank: int) -> Check:
    """Two sums over the parts of each layer, and with sequence parallelism two gathers: nothing else."""
    dims, sliced = ParallelDims.of(config), config.parallel_config.use_seq_parallel
    expected = {"AllGather": 2, "ReduceScatter": 2} if sliced else {"AllReduce": 2}
    expected = expected if dims.model_parallel > 1 else {}
    found: dict[str, int] = {}
    for collective, count in layer.collectives.items():
        if collective.group == dims.tensor_group(rank):
            found[collective.kind] = found.get(collective.kind, 0) + count
    return Check(
        "collectives of a layer, forward", found == expected, f"{_counted(found)}; expected {_counted(expected)}"
    )


def _strategies(layer: LayerCounts, config: RunConfig, rank: int) -> Check:
    """Every operation of a layer is laid out by the table."""
    without = {
        operator.kind: count
        for operator, count in layer.operators.items()
        if not operator.strategy and operator.kind not in WITHOUT_STRATEGY
    }
    total = sum(count for operator, count in layer.operators.items() if operator.strategy)
    told = f"{total} operators have one" if not without else f"{_counted(without)} have none"
    return Check("every operator of a layer has a strategy", not without, told)


def _split(layer: LayerCounts, config: RunConfig, rank: int) -> Check:
    """No operation of a layer is done in full by several NPUs, but for what the plan leaves whole.

    That is a weight that replicas convert, and without sequence parallelism everything between the products.
    """
    dims = ParallelDims.of(config)
    sliced = config.parallel_config.use_seq_parallel
    wanted = dims.data_parallel * (dims.model_parallel if sliced else 1)
    whole: Counter[str] = Counter()
    for operator, count in layer.operators.items():
        least = min(wanted, dims.model_parallel) if operator.kind == "Cast" else wanted
        if operator.strategy and _pieces(operator) < least:
            whole[operator.kind] += count
    told = f"all are cut into {wanted}" if not whole else f"not cut into {wanted}: {_counted(whole)}"
    return Check("no operator of a layer is replicated", not whole, told)


def _kernels(layer: LayerCounts, config: RunConfig, rank: int) -> Check:
    """Attention and norms are MindSpore's fused kernels."""
    expected = {"FlashAttentionScore": int(config.model.model_config.use_flash_attention), "RmsNorm": 2}
    found = {
        kind: sum(count for operator, count in layer.operators.items() if operator.kind == kind) for kind in expected
    }
    return Check(
        "fused kernels of a layer, forward", found == expected, f"{_counted(found)}; expected {_counted(expected)}"
    )


OF_A_LAYER: tuple[Callable[[LayerCounts, RunConfig, int], Check], ...] = (_collectives, _strategies, _split, _kernels)
"""Checks on what one layer adds."""


def _pieces(operator: Operator) -> int:
    """Return into how many pieces the work is cut: a product's by the rows of both inputs and what they share."""
    if operator.kind == "MatMul":
        (rows, shared), (columns, _) = operator.strategy
        return rows * shared * columns
    return max(prod(shape) for shape in operator.strategy)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
