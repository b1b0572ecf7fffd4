"""What a rank of several NPUs holds, before anything is compiled: names, blocks, types, and no memory."""

from dataclasses import replace

import pytest
from helpers.training import tiny_model

from mindcode.config.schema import (
    ModelSection,
    OptimizerConfig,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
    RunConfig,
)
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan, blocks_on
from mindcode.training.npu import npu_training
from mindcode.utils.errors import UserError

MODEL = replace(tiny_model("bfloat16"), vocab_size=36, use_flash_attention=True)
DEGREES = ParallelConfig(data_parallel=2, model_parallel=2, pipeline_stage=2, micro_batch_num=2, use_seq_parallel=True)
CONFIG = RunConfig(
    use_parallel=True,
    model=ModelSection(model_config=MODEL),
    parallel_config=DEGREES,
    parallel=ParallelContextConfig(parallel_optimizer_config=ParallelOptimizerConfig(parallel_optimizer_threshold=0)),
    optimizer=OptimizerConfig(type="AdamW"),
)
FIRST_OF_STAGE = (0, 4)


@pytest.mark.parametrize("rank", FIRST_OF_STAGE)
def test_a_rank_holds_the_weights_of_its_stage_and_their_state(rank: int) -> None:
    training = npu_training(CONFIG, rank)
    dims = ParallelDims.of(CONFIG)
    stage, plan = dims.coordinates(rank).stage, Plan(MODEL, dims)
    held = [name for name in parameter_shapes(MODEL) if stage in plan.stages_of(name)]
    assert [parameter.name for parameter in training.weights] == held
    halves = [name for name in held if not name.endswith("norm.weight") and not name.startswith("model.norm_out")]
    state = [f"{prefix}.{name}" for prefix in ("adam_m", "adam_v") for name in held]
    assert [p.name for p in training.state] == [*state, *(f"adam_master.{name}" for name in halves)]
    assert {str(parameter.dtype) for parameter in training.state} == {"Float32"}


@pytest.mark.parametrize("rank", range(8))
def test_blocks_are_the_plans(rank: int) -> None:
    training, blocks = npu_training(CONFIG, rank), blocks_on(CONFIG, rank)
    for parameter in training.everything:
        name = parameter.name.removeprefix("adam_m.").removeprefix("adam_v.").removeprefix("adam_master.")
        assert training.placements[parameter.name] == blocks[name]
    # replicas share the optimizer's state, and with it the weight
    assert blocks["model.layers.0.attention.wq.weight" if rank < 4 else "lm_head.weight"].shape[0] * 4 in (16, 36)


def test_nothing_is_in_memory_before_the_compilation() -> None:
    training = npu_training(CONFIG, 0)
    assert all(parameter.has_init for parameter in training.everything)


def test_the_optimizer_has_the_weights_of_all_stages() -> None:
    """Without those of the others MindSpore would lose the gradients that travel between stages."""
    training = npu_training(CONFIG, 0)
    assert [parameter.name for parameter in training.optimizer.parameters] == list(parameter_shapes(MODEL))


def test_what_mindspore_cannot_split_is_refused_before_anything_is_compiled() -> None:
    with pytest.raises(UserError, match="micro_batch_interleave_num: 2, but pipeline_stage is 2"):
        npu_training(replace(CONFIG, micro_batch_interleave_num=2), 0)
