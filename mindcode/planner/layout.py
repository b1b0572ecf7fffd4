"""Who sits where: the rank table, with the machine of every rank and the layers of every stage.

for place in rank_table(config):
    place.rank, place.machine, place.stage, place.layers
"""

from dataclasses import dataclass

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import NPUS_PER_MACHINE
from mindcode.parallel.dims import ParallelDims, stage_of_layers


@dataclass(frozen=True)
class RankPlace:
    """One row of the table."""

    rank: int
    machine: int
    stage: int
    replica: int
    part: int
    layers: tuple[int, ...]
    """The layers of its stage."""
    tensor_group: tuple[int, ...]
    """Ranks that hold the parts of the same tensors."""
    data_group: tuple[int, ...]
    """Ranks that hold the same parts and train on other rows."""
    pipeline_group: tuple[int, ...]
    """Ranks that pass activations to each other, by stage."""


def rank_table(config: RunConfig) -> tuple[RankPlace, ...]:
    """Return the place of every rank, in order."""
    dims, layers = ParallelDims.of(config), layers_of_stages(config)
    return tuple(_place(dims, layers, rank) for rank in range(dims.world_size))


def layers_of_stages(config: RunConfig) -> tuple[tuple[int, ...], ...]:
    """Return the consecutive layers of every pipeline stage."""
    sizes, stages = config.model.model_config, ParallelDims.of(config).pipeline_stage
    stage_of = stage_of_layers(sizes.num_layers, stages, sizes.offset)
    return tuple(tuple(layer for layer, of in enumerate(stage_of) if of == stage) for stage in range(stages))


def machine_of(rank: int) -> int:
    """Return which machine runs a rank."""
    return rank // NPUS_PER_MACHINE


def _place(dims: ParallelDims, layers: tuple[tuple[int, ...], ...], rank: int) -> RankPlace:
    place = dims.coordinates(rank)
    return RankPlace(
        rank=rank,
        machine=machine_of(rank),
        stage=place.stage,
        replica=place.replica,
        part=place.part,
        layers=layers[place.stage],
        tensor_group=dims.tensor_group(rank),
        data_group=dims.data_group(rank),
        pipeline_group=dims.pipeline_group(rank),
    )
