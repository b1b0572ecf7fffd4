"""Does the compiled graph do what the plan says? Every check answers with numbers. Pure Python.

for check in checks_of(stage):
    check.ok, check.what, check.numbers
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple, TypeVar

from mindcode.checkpoint.placements import weight_of
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.dryrun.depth import WHOLE, stage_layers
from mindcode.dryrun.dry_run import Stage, micro_batches
from mindcode.dryrun.figures import OPTIMIZER, WEIGHTS, memory_of, parameters_of, use_of
from mindcode.dryrun.ir import COLLECTIVES, FORWARD, Collective, Operator
from mindcode.dryrun.pairing import sent, unpaired
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan, blocks_on
from mindcode.planner.memory import rank_memory

Key = TypeVar("Key", Operator, Collective)
WITHOUT_STRATEGY = (*COLLECTIVES, "Reshape", "TupleGetItem", "MakeTuple", "Depend", "Load", "UpdateState")
"""Kinds that need none: what MindSpore inserts, what it lays out from both sides, what computes nothing."""


class Check(NamedTuple):
    """One question and its answer."""

    what: str
    ok: bool
    numbers: str


class Layer(NamedTuple):
    """What one more layer adds to a graph: to the forward pass of one micro-batch of a training step."""

    graph: str
    config: RunConfig
    rank: int
    operators: Mapping[Operator, int]
    collectives: Mapping[Collective, int]


def checks_of(stage: Stage) -> list[Check]:
    """Return the answers for a stage."""
    checks = [_shapes(stage), _planned_bytes(stage)]
    for graph in stage.compiled[0].graphs:
        layer = _one_layer(stage, graph)
        checks += [check(layer) for check in OF_A_LAYER[graph]] if layer else []
    return checks


def pairing(stages: Sequence[Stage]) -> list[Check]:
    """Return whether what the stages send each other is received, for each depth that all of them compiled."""
    if len(stages) < 2:
        return []
    checks = []
    for compiled in zip(*(stage.compiled for stage in stages), strict=False):
        graphs = {stage.rank: each.graphs["step"] for stage, each in zip(stages, compiled, strict=True)}
        problems, total = unpaired(graphs), sent(graphs).total()
        told = f"{total} in pairs" if not problems else f"{len(problems)} of {total}, first {problems[0]}"
        checks.append(Check("Sends and Receives between the stages", not problems, told))
    return checks


def _shapes(stage: Stage) -> Check:
    """Weights and optimizer state have the shapes of the plan's blocks, and none is missing."""
    deepest = stage.compiled[-1]
    config = load_config(Path(deepest.job.config), deepest.job.overrides)
    trains = config.run_mode != "predict"
    blocks = blocks_on(config, stage.rank) if trains else Plan.of(config).local_parameters(stage.rank)
    held = {name: t for name, t in parameters_of(deepest).items() if use_of(name) in (WEIGHTS, OPTIMIZER)}
    wrong = [
        f"{name} is {list(tensor.shape)}"
        for name, tensor in held.items()
        if weight_of(name) not in blocks or blocks[weight_of(name)].shape != tensor.shape
    ]
    wrong += [f"{name} is missing" for name in blocks if name not in held]
    told = f"{len(held)} tensors as planned" if not wrong else f"{len(wrong)} otherwise, first {wrong[0]}"
    return Check("local shapes", not wrong, told)


def _planned_bytes(stage: Stage) -> Check:
    """Weights, and the optimizer's state, take what `mindcode plan` says."""
    resident, planned = memory_of(stage).resident, rank_memory(stage.config, stage.rank)
    pairs = {WEIGHTS: planned.parameters, OPTIMIZER: planned.optimizer_state}
    wrong = [use for use, size in pairs.items() if resident.get(use, 0) != size]
    told = ", ".join(f"{use} {size:,}" for use, size in pairs.items() if size)
    if wrong:
        told += "; compiled: " + ", ".join(f"{use} {resident.get(use, 0):,}" for use in wrong)
    return Check("bytes as in mindcode plan", not wrong, told)


def _one_layer(stage: Stage, graph: str) -> Layer | None:
    """Return what a layer adds, if several depths were compiled and layers do their forward pass only once."""
    kinds = [kind for kind in stage_layers(stage.config, stage.number) if kind != WHOLE]
    if len(stage.compiled) < 2 or not kinds:
        return None
    graphs = [each.graphs[graph] for each in stage.compiled]
    trains = graph == "step"
    times = micro_batches(stage.config) if trains else 1

    def added(counts: Sequence[Mapping[Key, int]]) -> dict[Key, int]:
        keys = dict.fromkeys(key for each in counts for key in each if key.phase == FORWARD or not trains)
        found = {key: stage.trend([each.get(key, 0) for each in counts]).per_layer[kinds[0]] for key in keys}
        return {key: round(number / times) for key, number in found.items() if round(number / times)}

    operators = added([each.operators for each in graphs])
    collectives = added([each.collectives for each in graphs])
    return Layer(graph, stage.config, stage.rank, operators, collectives)


def _collectives(layer: Layer) -> Check:
    """Two sums over the parts of each layer, and with sequence parallelism two gathers: nothing else."""
    dims = ParallelDims.of(layer.config)
    sliced = layer.graph == "step" and layer.config.parallel_config.use_seq_parallel
    expected = {"AllGather": 2, "ReduceScatter": 2} if sliced else {"AllReduce": 2}
    expected = expected if dims.model_parallel > 1 else {}
    found: Counter[str] = Counter()
    for collective, count in layer.collectives.items():
        if collective.group == dims.tensor_group(layer.rank):
            found[collective.kind] += count
    told = f"{_counted(found)}; expected {_counted(expected)}"
    return Check(f"collectives of a layer, {_where(layer)}", found == expected, told)


def _strategies(layer: Layer) -> Check:
    """Every operation of a layer is laid out by the table."""
    without = {
        operator.kind: count
        for operator, count in layer.operators.items()
        if not operator.strategy and operator.kind not in WITHOUT_STRATEGY
    }
    total = sum(count for operator, count in layer.operators.items() if operator.strategy)
    told = f"{total} operators have one" if not without else f"{_counted(without)} have none"
    return Check("every operator of a layer has a strategy", not without, told)


def _split(layer: Layer) -> Check:
    """No operation of a layer is done in full by several NPUs, but for what the plan leaves whole.

    That is a weight that replicas convert, and without sequence parallelism everything between the products.
    """
    dims = ParallelDims.of(layer.config)
    wanted = dims.data_parallel * (dims.model_parallel if layer.config.parallel_config.use_seq_parallel else 1)
    whole: Counter[str] = Counter()
    for operator, count in layer.operators.items():
        least = min(wanted, dims.model_parallel) if operator.kind == "Cast" else wanted
        if operator.strategy and _pieces(operator) < least:
            whole[operator.kind] += count
    told = f"all are cut into {wanted}" if not whole else f"not cut into {wanted}: {_counted(whole)}"
    return Check("no operator of a layer is replicated", not whole, told)


def _kernels(layer: Layer) -> Check:
    """Attention, norms and the cache are MindSpore's fused kernels."""
    expected = dict(KERNELS[layer.graph])
    if not layer.config.model.model_config.use_flash_attention:
        expected = {kind: count for kind, count in expected.items() if kind != "FlashAttentionScore"}
    found: Counter[str] = Counter()
    for operator, count in layer.operators.items():
        if operator.kind in expected:
            found[operator.kind] += count
    told = f"{_counted(found)}; expected {_counted(expected)}"
    return Check(f"fused kernels of a layer, {_where(layer)}", found == expected, told)


KERNELS = {
    "step": {"FlashAttentionScore": 1, "RmsNorm": 2},
    "prefill": {"FlashAttentionScore": 1, "ReshapeAndCache": 1, "RmsNorm": 2},
    "decode": {"PagedAttention": 1, "ReshapeAndCache": 1, "RmsNorm": 2},
}
"""How many of which kernels a layer is to use, by graph."""

OF_A_LAYER: dict[str, tuple[Callable[[Layer], Check], ...]] = {
    "step": (_collectives, _strategies, _split, _kernels),
    "prefill": (_collectives, _kernels),
    "decode": (_collectives, _kernels),
}
"""Checks on what one layer adds, by graph."""


def _where(layer: Layer) -> str:
    return "forward" if layer.graph == "step" else layer.graph


def _pieces(operator: Operator) -> int:
    """Return into how many pieces the work is cut: a product's by the rows of both inputs and what they share."""
    if operator.kind == "MatMul":
        (rows, shared), (columns, _) = operator.strategy
        return rows * shared * columns
    return max(prod(shape) for shape in operator.strategy)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
