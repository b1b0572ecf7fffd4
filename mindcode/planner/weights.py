"""Bytes of a rank's weights, as it holds them between steps and as its products need them."""

from collections.abc import Mapping
from math import prod

from mindcode.config.schema import RunConfig
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import EMBEDDING, Placement, Plan, Role, blocks_on, rule_for
from mindcode.planner.shapes import BYTES, format_of


def weight_size(config: RunConfig, name: str) -> int:
    """Return the bytes of one number of a weight."""
    form = "norm" if rule_for(name).role is Role.NORM else "embedding" if name == EMBEDDING else "param"
    return BYTES[format_of(config.model.model_config, form)]


def weight_bytes(config: RunConfig, blocks: Mapping[str, Placement]) -> int:
    """Return the bytes of blocks of weights."""
    return sum(prod(block.shape) * weight_size(config, name) for name, block in blocks.items())


def whole_blocks(config: RunConfig, rank: int) -> dict[str, Placement]:
    """Return the rank's parts of weights as its products need them: not shared out among replicas."""
    sizes = config.model.model_config
    return Plan(sizes, ParallelDims.of(config), sizes.offset).local_parameters(rank)


def gathered_blocks(config: RunConfig, rank: int) -> dict[str, Placement]:
    """Return those of them that replicas share, and gather once a step."""
    held = blocks_on(config, rank)
    return {name: block for name, block in whole_blocks(config, rank).items() if block != held[name]}
