"""Degrees of parallelism, and which rank sits where: pure arithmetic, without MindSpore.

    dims = ParallelDims(data_parallel=2, model_parallel=4, pipeline_stage=2)
    dims.coordinates(13)            # Coordinates(stage=1, replica=1, part=1)
    dims.tensor_group(13)           # (12, 13, 14, 15)

Ranks are counted as in MindFormers: pipeline stages outermost, then data-parallel replicas, then parts of a tensor.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from mindcode.config.schema import RunConfig


class Coordinates(NamedTuple):
    """A rank's place, each from 0."""

    stage: int
    """Pipeline stage."""
    replica: int
    """Copy of the model, for data parallelism."""
    part: int
    """Part of each split tensor."""


@dataclass(frozen=True)
class ParallelDims:
    """How many processes share the work, by kind of sharing."""

    data_parallel: int = 1
    model_parallel: int = 1
    pipeline_stage: int = 1

    @classmethod
    def of(cls, config: RunConfig) -> "ParallelDims":
        """Return the degrees of a run; a run without `use_parallel` has one process."""
        degrees = config.parallel_config
        if not config.use_parallel:
            return cls()
        return cls(degrees.data_parallel, degrees.model_parallel, degrees.pipeline_stage)

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.data_parallel * self.model_parallel * self.pipeline_stage

    def coordinates(self, rank: int) -> Coordinates:
        """Return where `rank` sits."""
        rest, part = divmod(rank, self.model_parallel)
        stage, replica = divmod(rest, self.data_parallel)
        return Coordinates(stage, replica, part)

    def rank(self, place: Coordinates) -> int:
        """Return who sits at `place`."""
        return (place.stage * self.data_parallel + place.replica) * self.model_parallel + place.part

    @property
    def in_words(self) -> str:
        """The degrees under the names that they have in a configuration."""
        return (
            f"data_parallel {self.data_parallel}, model_parallel {self.model_parallel}, "
            f"pipeline_stage {self.pipeline_stage}"
        )

    def tensor_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that hold the parts of the same tensors."""
        place = self.coordinates(rank)
        return tuple(self.rank(place._replace(part=part)) for part in range(self.model_parallel))

    def data_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that hold the same parts and train on other rows."""
        place = self.coordinates(rank)
        return tuple(self.rank(place._replace(replica=replica)) for replica in range(self.data_parallel))

    def pipeline_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that pass activations of the same rows to each other, by stage."""
        place = self.coordinates(rank)
        return tuple(self.rank(place._replace(stage=stage)) for stage in range(self.pipeline_stage))

    def model_group(self, rank: int) -> tuple[int, ...]:
        """Ranks that together hold one copy of the model."""
        replica = self.coordinates(rank).replica
        return tuple(other for other in range(self.world_size) if self.coordinates(other).replica == replica)


@functools.cache
def stage_of_layers(num_layers: int, stages: int, offset: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return the pipeline stage of every layer.

    Each stage has num_layers // stages layers plus its entry of `offset`, as in MindFormers; the sums are checked when
    the configuration is read.
    """
    extra = offset if isinstance(offset, tuple) else (offset,) * stages
    sizes = [num_layers // stages + extra[stage] for stage in range(stages)]
    return tuple(stage for stage, size in enumerate(sizes) for _ in range(size))
