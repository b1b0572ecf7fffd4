"""The parts of the semi-automatic step that need no NPU: who counts what in the norm, micro-batches, settings."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import (
    ModelSection,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
    RecomputeConfig,
    RunConfig,
    RunnerConfig,
)
from mindcode.model.stats import parameter_shapes
from mindcode.parallel import semi_auto_step
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Plan
from mindcode.parallel.semi_auto_step import GlobalSumOfSquares, copies_of_parameters, micro_batched, parallelized
from mindcode.utils.errors import UserError

MODEL = ModelConfig(
    hidden_size=16, num_layers=4, num_heads=4, n_kv_heads=2, intermediate_size=24, vocab_size=32, seq_length=8
)


def config(
    dp: int = 1, tp: int = 1, pp: int = 1, tied: bool = False, zero: bool = False, threshold: int = 0
) -> RunConfig:
    return RunConfig(
        use_parallel=True,
        model=ModelSection(model_config=replace(MODEL, tie_word_embeddings=tied)),
        parallel_config=ParallelConfig(data_parallel=dp, model_parallel=tp, pipeline_stage=pp, micro_batch_num=pp),
        parallel=ParallelContextConfig(
            enable_parallel_optimizer=zero,
            parallel_optimizer_config=ParallelOptimizerConfig(parallel_optimizer_threshold=threshold),
        ),
    )


def blocks(run: RunConfig) -> Iterator[tuple[int, str, Placement]]:
    """(rank, parameter, the part of its gradient that the rank's optimizer sees) of all ranks."""
    dims, model = ParallelDims.of(run), run.model.model_config
    plan, threshold = Plan(model, dims), run.parallel.parallel_optimizer_config.parallel_optimizer_threshold * 1024
    for rank, (name, shape) in product(range(dims.world_size), parameter_shapes(model).items()):
        if dims.coordinates(rank).stage in plan.stages_of(name):
            block = plan.placement(name, shape, rank)
            if run.parallel.enable_parallel_optimizer:
                block = plan.state_placement(name, shape, rank, threshold)
            yield rank, name, block


def cut(block: Placement) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(block.start, block.shape, strict=True))


@pytest.mark.parametrize(("zero", "threshold"), [(False, 0), (True, 0), (True, 1)], ids=["whole", "zero", "large"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(("dp", "tp", "pp"), list(product([1, 2], [1, 2], [1, 2, 4])))
def test_copies_of_parameters_are_those_that_ranks_hold(
    dp: int, tp: int, pp: int, tied: bool, zero: bool, threshold: int
) -> None:
    run = config(dp, tp, pp, tied, zero, threshold)
    seen = {name: np.zeros(shape, int) for name, shape in parameter_shapes(run.model.model_config).items()}
    for _, name, block in blocks(run):
        seen[name][cut(block)] += 1
    copies = copies_of_parameters(run)
    assert copies.keys() == seen.keys()
    for name, counts in seen.items():
        assert (counts == copies[name]).all(), name


@pytest.mark.parametrize("zero", [False, True], ids=["whole", "zero"])
def test_the_parts_of_all_ranks_add_up_to_the_whole_sum_of_squares(zero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semi_auto_step.ops, "AllReduce", nn.Identity)
    run = config(dp=2, tp=2, pp=2, tied=True, zero=zero)
    generator = np.random.default_rng(0)
    shapes = parameter_shapes(run.model.model_config)
    gradients = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    held: dict[int, list[tuple[str, np.ndarray]]] = {}
    for rank, name, block in blocks(run):
        held.setdefault(rank, []).append((name, gradients[name][cut(block)]))
    mode, total = ms.get_context("mode"), 0.0
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        for parts in held.values():
            parameters = [Parameter(Tensor(0.0), name=name) for name, _ in parts]
            sum_of_squares = GlobalSumOfSquares(parameters, run)
            total += float(sum_of_squares(tuple(Tensor(part) for _, part in parts)).asnumpy())
    finally:
        ms.set_context(mode=mode)
    # fp32 sums of some thousand squares
    assert total == pytest.approx(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values()), rel=1e-5)


class Network(nn.Cell):
    """In the place of model and loss."""

    def construct(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        return (input_ids * labels).sum()


@pytest.mark.parametrize(
    ("stages", "accumulated", "copies", "outside", "inside"),
    [
        (1, 1, 1, Network, None),
        (1, 4, 1, nn.GradAccumulationCell, Network),
        (2, 1, 1, nn.PipelineCell, Network),
        (1, 1, 2, nn.MicroBatchInterleaved, Network),
        (1, 4, 2, nn.GradAccumulationCell, nn.MicroBatchInterleaved),
    ],
)
def test_micro_batches(stages: int, accumulated: int, copies: int, outside: type, inside: type | None) -> None:
    runner = RunnerConfig(gradient_accumulation_steps=accumulated)
    run = replace(config(dp=2, pp=stages), micro_batch_interleave_num=copies, runner_config=runner)
    network = micro_batched(Network(), run)
    assert type(network) is outside
    assert network.training
    if inside is not None:
        assert any(type(cell) is inside for _, cell in network.cells_and_names())


def test_interleaved_copies_of_a_pipeline_are_refused() -> None:
    run = replace(config(pp=2), micro_batch_interleave_num=2)
    with pytest.raises(UserError, match="micro_batch_interleave_num: 2, but pipeline_stage is 2"):
        micro_batched(Network(), run)


def step(input_ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In the place of a compiled step."""
    return input_ids, labels, labels


def test_settings_of_the_compiler() -> None:
    graph = parallelized(step, config(dp=2, pp=2))
    assert (graph._parallel_mode, graph._pipeline_stages, graph._dataset_strategy_config) == (
        "semi_auto",
        2,
        "full_batch",
    )
    assert not graph._enable_parallel_optimizer


@pytest.mark.parametrize(
    ("accumulated_in_parts", "gathered_again", "level"),
    [(False, False, "level1"), (True, False, "level2"), (False, True, "level3")],
)
def test_levels_of_the_sharded_optimizer(accumulated_in_parts: bool, gathered_again: bool, level: str) -> None:
    run = config(dp=2, zero=True, threshold=64)
    sharding = ParallelOptimizerConfig(gradient_accumulation_shard=accumulated_in_parts)
    run = replace(
        run,
        parallel=replace(run.parallel, parallel_optimizer_config=sharding),
        recompute_config=RecomputeConfig(parallel_optimizer_comm_recompute=gathered_again),
    )
    graph = parallelized(step, run)
    assert (graph._enable_parallel_optimizer, graph._optimizer_level) == (True, level)
    # the plan decides which parameters are too small
    assert graph._parallel_optimizer_threshold == 0


def test_one_replica_shares_nothing() -> None:
    assert not parallelized(step, config(dp=1, tp=2, zero=True))._enable_parallel_optimizer


GATHERED_AGAIN = RecomputeConfig(parallel_optimizer_comm_recompute=True)
IN_PARTS = ParallelOptimizerConfig(gradient_accumulation_shard=True)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            replace(config(dp=2, pp=2, zero=True), recompute_config=GATHERED_AGAIN),
            "parallel_optimizer_comm_recompute: True, but a step has 2 micro-batches, whose gradients",
        ),
        (
            replace(
                config(dp=2),
                parallel=ParallelContextConfig(enable_parallel_optimizer=True, parallel_optimizer_config=IN_PARTS),
                runner_config=RunnerConfig(gradient_accumulation_steps=4),
            ),
            "gradient_accumulation_shard: True, but a step has 4 micro-batches and no pipeline",
        ),
        (
            config(dp=2, pp=2, tied=True, zero=True),
            "enable_parallel_optimizer: True, but the model has tie_word_embeddings and 2 pipeline stages",
        ),
    ],
    ids=["gathered again", "accumulated in parts", "tied over stages"],
)
def test_sharded_optimizers_that_would_lose_gradients_are_refused(run: RunConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parallelized(step, run)


@pytest.mark.parametrize("dtype", [ms.float32, ms.float16])
def test_buffers_are_empty_after_a_step_whatever_was_in_them(dtype: ms.Type) -> None:
    buffer = Parameter(Tensor([[1.0, np.inf], [-np.inf, np.nan]], dtype), name="accu_grads.w")
    clear = semi_auto_step._Clear(ms.ParameterTuple([buffer]))
    norm = clear(Tensor(np.nan, ms.float32), Tensor(False))
    assert np.isnan(norm.asnumpy())
    assert buffer.asnumpy().tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("shared", "expected"), [(False, 7.0), (True, 1.0)])
def test_totals_are_in_the_buffers_unless_replicas_share_them(shared: bool, expected: float) -> None:
    buffers = ms.ParameterTuple([Parameter(Tensor([7.0], ms.float32), name="accu_grads.w")])
    (total,) = semi_auto_step._Totals(buffers, shared)((Tensor([1.0], ms.float32),))
    assert total.asnumpy().tolist() == [expected]
