"""The table of shard strategies fits the operations of the real network, and the plan."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

import pytest
from helpers.recording import Shapes, recorded_shapes

from mindcode.config.model_schema import ModelConfig
from mindcode.model.kernels import ASCEND, ASCEND_FLASH, kernels_for
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import EMBEDDING, Placement, Plan
from mindcode.parallel.strategies import Strategies, Strategy
from mindcode.utils.errors import UserError

MODEL = ModelConfig(
    hidden_size=32,
    num_layers=2,
    num_heads=8,
    n_kv_heads=4,
    intermediate_size=48,
    vocab_size=64,
    seq_length=8,
    compute_dtype="float32",
    param_init_type="float32",
)
ROWS = 4
NETWORKS = list(product([False, True], [False, True]))
Recorded = dict[str, tuple[Shapes, tuple[int, ...]]]


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda pair: f"tied={pair[0]}-flash={pair[1]}")
def network(request: pytest.FixtureRequest) -> Iterator[tuple[ModelConfig, Recorded]]:
    """A model on Ascend, and the shapes with which its operations are called."""
    tied, flash = request.param
    model = replace(MODEL, tie_word_embeddings=tied, use_flash_attention=flash)
    kernels = kernels_for("Ascend", model)
    assert kernels == (ASCEND_FLASH if flash else ASCEND)
    yield model, recorded_shapes(model, kernels, ROWS)


def test_every_operation_that_is_held_is_used(network: tuple[ModelConfig, Recorded]) -> None:
    assert [name for name, (inputs, _) in network[1].items() if not inputs] == []


def test_every_split_divides_the_shape_that_it_splits(network: tuple[ModelConfig, Recorded]) -> None:
    for dp, tp, sequence in product([1, 2, 4], [1, 2, 4], [False, True]):
        table = Strategies(ParallelDims(dp, tp), sequence)
        for name, (inputs, output) in network[1].items():
            strategy = table.of(name)
            if strategy is None:
                assert name.endswith("reshape")
                continue
            assert len([split for split in strategy.inputs if split]) == len([shape for shape in inputs if shape]), name
            for split, shape in zip(strategy.inputs, inputs, strict=False):
                assert_divides(split, shape, name)
                assert prod(split) in {1, dp, tp, dp * tp}, name
            if strategy.output is not None:
                assert_divides(strategy.output, output, name)


def assert_divides(split: tuple[int, ...], shape: tuple[int, ...], name: str) -> None:
    assert len(split) == len(shape), name
    assert all(size % parts == 0 for size, parts in zip(shape, split, strict=True)), name


def users(model: ModelConfig, parameter: str) -> Iterator[tuple[str, int]]:
    """The operations that a parameter is an input of, and which one; where it is cast first, what follows, too."""
    owner = parameter.rpartition(".")[0]
    if parameter == EMBEDDING:
        yield f"{owner}.gather", 0
        if not model.tie_word_embeddings:
            return
        owner = "lm_head"
    if parameter.endswith("norm.weight") or parameter.endswith("norm_out.weight"):
        yield f"{owner}.norm.rms_norm", 1
        return
    yield f"{owner}.cast", 0
    yield f"{owner}.matmul", 1


def block(split: tuple[int, ...], shape: tuple[int, ...], rank_in_stage: int) -> Placement:
    """The piece of a tensor that a rank gets: parts of tensor parallelism are neighbours, replicas are not."""
    starts, remaining = [], rank_in_stage
    for size, parts in reversed(list(zip(shape, split, strict=True))):
        remaining, index = divmod(remaining, parts)
        starts.append(index * (size // parts))
    local = tuple(size // parts for size, parts in zip(shape, split, strict=True))
    return Placement(shape, tuple(reversed(starts)), local)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_weights_are_cut_into_the_blocks_of_the_plan(tied: bool) -> None:
    model = replace(MODEL, tie_word_embeddings=tied)
    for dp, tp, pp, sequence in product([1, 2], [1, 2, 4], [1, 2], [False, True]):
        dims = ParallelDims(dp, tp, pp)
        plan, table = Plan(model, dims), Strategies(dims, sequence)
        for name, shape in parameter_shapes(model).items():
            for operation, place in users(model, name):
                strategy = table.of(operation)
                assert strategy is not None
                cut = strategy.inputs[place]
                for rank in range(dims.world_size):
                    assert block(cut, shape, rank % (dp * tp)) == plan.placement(name, shape, rank), operation


def test_sums_over_the_parts_end_in_slices_of_the_sequence() -> None:
    dims = ParallelDims(data_parallel=2, model_parallel=4)
    for name in ("model.layers.1.attention.wo.matmul", "model.layers.1.feed_forward.w2.matmul"):
        assert Strategies(dims, use_seq_parallel=True).of(name) == Strategy(((2, 4), (1, 4)), (8, 1))
        assert Strategies(dims).of(name) == Strategy(((2, 4), (1, 4)), (2, 1))


@pytest.mark.parametrize("name", ["model.layers.0.attention.unknown", "model.layers.0.matmul", "loss.reduce"])
def test_an_operation_without_a_row_is_named(name: str) -> None:
    with pytest.raises(UserError, match=f"operation '{name}' is covered by 0 rows; expected one"):
        Strategies(ParallelDims(2, 2)).of(name)
