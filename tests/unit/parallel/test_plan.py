"""The plan covers every parameter once, and its blocks tile every tensor."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from mindcode.config.model_schema import ModelConfig
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import EMBEDDING, Plan, Role, check_coverage, rule_for
from mindcode.utils.errors import UserError

MODEL = ModelConfig(
    hidden_size=16, num_layers=4, num_heads=4, n_kv_heads=2, intermediate_size=24, vocab_size=32, seq_length=8
)
TIED = replace(MODEL, tie_word_embeddings=True)
WQ = "model.layers.3.attention.wq.weight"


@pytest.mark.parametrize("model", [MODEL, TIED], ids=["untied", "tied"])
def test_every_parameter_is_covered_once(model: ModelConfig) -> None:
    check_coverage(parameter_shapes(model))


def test_a_parameter_that_no_rule_covers_is_named() -> None:
    with pytest.raises(UserError, match=r"'model\.layers\.0\.attention\.wq\.bias' is covered by none"):
        rule_for("model.layers.0.attention.wq.bias")


def test_roles_of_a_layer() -> None:
    names = {"attention.wk": Role.COLUMN, "attention.wo": Role.ROW, "feed_forward.w1": Role.COLUMN}
    names |= {"feed_forward.w2": Role.ROW, "ffn_norm": Role.NORM}
    assert {name: rule_for(f"model.layers.0.{name}.weight").role for name in names} == names


@pytest.mark.parametrize("model", [MODEL, TIED], ids=["untied", "tied"])
@pytest.mark.parametrize(("dp", "tp", "pp"), list(product([1, 2], [1, 2], [1, 2, 4])))
def test_the_blocks_of_a_replica_tile_every_tensor(model: ModelConfig, dp: int, tp: int, pp: int) -> None:
    plan = Plan(model, ParallelDims(dp, tp, pp))
    for name, shape in parameter_shapes(model).items():
        holders = [rank for rank in range(plan.dims.world_size) if name in plan.local_parameters(rank)]
        assert len({plan.dims.coordinates(rank).stage for rank in holders}) == len(plan.stages_of(name))
        seen = np.zeros(shape, int)
        for rank in holders:
            block = plan.placement(name, shape, rank)
            seen[tuple(slice(a, a + n) for a, n in zip(block.start, block.shape, strict=True))] += 1
        copies = dp * len(plan.stages_of(name)) * (tp if rule_for(name).role is Role.NORM else 1)
        assert (seen == copies).all()


def test_sharded_state_tiles_every_part_once() -> None:
    plan = Plan(MODEL, ParallelDims(data_parallel=2, model_parallel=2))
    seen = np.zeros((16, 16), int)
    for rank in range(4):
        block = plan.state_placement(WQ, (16, 16), rank, threshold=0)
        assert block.shape == (4, 16)
        seen[block.start[0] : block.start[0] + 4] += 1
    assert (seen == 1).all()


def test_small_state_is_kept_whole() -> None:
    plan = Plan(MODEL, ParallelDims(data_parallel=2))
    assert plan.state_placement(WQ, (16, 16), 1, threshold=64 * 1024).is_whole


def test_state_of_vectors_is_kept_whole() -> None:
    plan = Plan(MODEL, ParallelDims(data_parallel=2))
    assert plan.state_placement("model.norm_out.weight", (16,), 1, threshold=0).is_whole


def test_a_tied_embedding_is_on_both_ends() -> None:
    assert Plan(TIED, ParallelDims(pipeline_stage=4)).stages_of(EMBEDDING) == (0, 3)
    assert Plan(MODEL, ParallelDims(pipeline_stage=4)).stages_of(EMBEDDING) == (0,)


def test_an_axis_that_does_not_divide_is_explained() -> None:
    with pytest.raises(UserError, match=r"axis 0 of \[6, 16\] is not divisible by model_parallel 4"):
        Plan(MODEL, ParallelDims(model_parallel=4)).placement(WQ, (6, 16), 0)
