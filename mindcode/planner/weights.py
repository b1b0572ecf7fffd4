"""What a stage's weights amount to on each of its ranks: between steps, and as its products need them."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.parallel.plan import EMBEDDING, Placement, Plan, Role, blocks_on, rule_for
from mindcode.planner.shapes import BYTES, format_of


@dataclass(frozen=True)
class Amount:
    """Some weights of one rank."""

    tensors: int
    numbers: int
    bytes: int
    half_numbers: int
    """Of the numbers, those in half precision."""
    largest: int
    """Numbers of the largest tensor."""


@dataclass(frozen=True)
class StageWeights:
    """The weights of a stage, on each of its ranks."""

    held: Amount
    """Between steps; replicas may share them."""
    whole: Amount
    """As products need them."""
    shared: Amount
    """Of the latter, matrices that the replicas share and gather."""
    copied: Amount
    """Of the latter, matrices that every replica holds."""
    norms: Amount
    """Vectors, which every rank of the stage holds."""


def stage_weights(config: RunConfig, stage: int) -> StageWeights:
    """Return what a stage's weights amount to."""
    return _of_split(_only_the_split(config), stage)


def _only_the_split(config: RunConfig) -> RunConfig:
    """What the blocks of weights depend on, so that a search meets the same question again."""
    degrees = replace(config.parallel_config, micro_batch_num=1)
    return RunConfig(
        use_parallel=config.use_parallel, model=config.model, parallel=config.parallel, parallel_config=degrees
    )


@functools.cache
def _of_split(config: RunConfig, stage: int) -> StageWeights:
    dims, model = ParallelDims.of(config), config.model.model_config
    rank = dims.rank(Coordinates(stage, 0, 0))
    held, whole = blocks_on(config, rank), Plan(model, dims, model.offset).local_parameters(rank)
    matrices = [(name, block) for name, block in whole.items() if rule_for(name).role is not Role.NORM]
    return StageWeights(
        held=_amount(model, held.items()),
        whole=_amount(model, whole.items()),
        shared=_amount(model, [(name, block) for name, block in matrices if block != held[name]]),
        copied=_amount(model, [(name, block) for name, block in matrices if block == held[name]]),
        norms=_amount(model, [(name, block) for name, block in whole.items() if rule_for(name).role is Role.NORM]),
    )


def _amount(model: ModelConfig, blocks: Iterable[tuple[str, Placement]]) -> Amount:
    sizes = [(prod(block.shape), _number_size(model, name)) for name, block in blocks]
    return Amount(
        tensors=len(sizes),
        numbers=sum(count for count, _ in sizes),
        bytes=sum(count * size for count, size in sizes),
        half_numbers=sum(count for count, size in sizes if size < 4),
        largest=max((count for count, _ in sizes), default=0),
    )


def _number_size(model: ModelConfig, name: str) -> int:
    form = "norm" if rule_for(name).role is Role.NORM else "embedding" if name == EMBEDDING else "param"
    return BYTES[format_of(model, form)]
