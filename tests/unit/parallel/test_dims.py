"""Who sits where: the order of ranks, the groups, the layers of a stage."""

import pytest

from mindcode.parallel.dims import Coordinates, ParallelDims, stage_of_layers

DIMS = ParallelDims(data_parallel=2, model_parallel=4, pipeline_stage=4)


def test_ranks_are_counted_as_in_mindformers() -> None:
    assert DIMS.world_size == 32
    assert DIMS.coordinates(0) == Coordinates(0, 0, 0)
    assert DIMS.coordinates(1) == Coordinates(0, 0, 1)
    assert DIMS.coordinates(4) == Coordinates(0, 1, 0)
    assert DIMS.coordinates(8) == Coordinates(1, 0, 0)


def test_coordinates_and_ranks_are_inverse() -> None:
    assert [DIMS.rank(DIMS.coordinates(rank)) for rank in range(32)] == list(range(32))


def test_groups_of_a_rank() -> None:
    assert DIMS.tensor_group(13) == (12, 13, 14, 15)
    assert DIMS.data_group(13) == (9, 13)
    assert DIMS.pipeline_group(13) == (5, 13, 21, 29)
    assert DIMS.model_group(13) == tuple(8 * stage + 4 + part for stage in range(4) for part in range(4))


@pytest.mark.parametrize("kind", ["tensor_group", "data_group", "pipeline_group", "model_group"])
def test_every_member_of_a_group_sees_the_same_group(kind: str) -> None:
    for rank in range(32):
        group = getattr(DIMS, kind)(rank)
        assert rank in group
        assert all(getattr(DIMS, kind)(other) == group for other in group)


def test_layers_of_the_stages() -> None:
    assert stage_of_layers(8, 4, 0) == (0, 0, 1, 1, 2, 2, 3, 3)
    assert stage_of_layers(7, 3, (0, 1, 0)) == (0, 0, 1, 1, 1, 2, 2)
