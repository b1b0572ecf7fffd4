"""What the semi-automatic interpreter sets on the network: read back from its cells and operations."""

from dataclasses import replace

import pytest
from mindspore import nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import (
    ModelSection,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
    RecomputeConfig,
    RunConfig,
)
from mindcode.model.kernels import ASCEND_FLASH
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan
from mindcode.parallel.recompute import operations, set_recompute
from mindcode.parallel.semi_auto import set_strategies, share
from mindcode.parallel.strategies import Strategies
from mindcode.utils.errors import UserError

LAYERS, OFFSET = 5, (0, 1)
STAGES = (0, 0, 1, 1, 1)
MODEL = ModelConfig(
    hidden_size=16,
    num_layers=LAYERS,
    num_heads=4,
    n_kv_heads=2,
    intermediate_size=24,
    vocab_size=32,
    seq_length=8,
    offset=OFFSET,
    use_flash_attention=True,
)


def networks(model: ModelConfig = MODEL) -> tuple[LlamaForCausalLM, CausalLMLoss]:
    return LlamaForCausalLM(model, ASCEND_FLASH), CausalLMLoss(model, ASCEND_FLASH)


def config(groups: int = 4, **degrees: int) -> RunConfig:
    parallel = ParallelConfig(gradient_aggregation_group=groups, **degrees)
    offset = OFFSET if parallel.pipeline_stage == 2 else 0
    return RunConfig(
        use_parallel=True, model=ModelSection(model_config=replace(MODEL, offset=offset)), parallel_config=parallel
    )


def is_recomputed(layer: nn.Cell) -> bool:
    """Whether the compiler keeps nothing of the layer but its input: a mark in the scope of all its operations."""
    return "recompute" in (layer.get_scope() or "")


def recomputed(cell: nn.Cell) -> list[str]:
    """The operations that are marked one by one."""
    return [name for name, primitive in operations(cell) if primitive.attrs.get("recompute")]


def test_every_operation_has_its_row_of_the_table() -> None:
    model, loss = networks()
    table = Strategies(ParallelDims(2, 2), use_seq_parallel=True)
    set_strategies(model, loss, table)
    for name, primitive in [*operations(model), *operations(loss, "loss")]:
        strategy = table.of(name)
        assert primitive.attrs.get("in_strategy") == (None if strategy is None else strategy.inputs), name
        outputs = None if strategy is None or strategy.output is None else (strategy.output,)
        assert primitive.attrs.get("out_strategy") == outputs, name


def test_an_operation_that_the_table_does_not_know_is_refused() -> None:
    model, loss = networks()
    model.model.layers[1].extra = ops.Add()
    with pytest.raises(UserError, match=r"'model\.layers\.1\.extra' is covered by 0 rows"):
        set_strategies(model, loss, Strategies(ParallelDims(2, 2)))


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_cells_are_on_the_stages_of_their_weights(tied: bool) -> None:
    sizes = replace(MODEL, tie_word_embeddings=tied)
    model, loss = networks(sizes)
    run = replace(config(pipeline_stage=2, micro_batch_num=2), model=ModelSection(model_config=sizes))
    share(model, loss, run)
    plan = Plan(sizes, ParallelDims.of(run), OFFSET)
    assert tuple(layer.pipeline_stage for layer in model.model.layers) == STAGES
    for cell in (model.model.tok_embeddings, *model.model.layers, model.model.norm_out):
        for parameter in cell.get_parameters():
            # a tied table is looked up on the first stage and read by the head, without weights of its own, on the last
            assert plan.stages_of(parameter.name)[0] == cell.pipeline_stage
    assert (model.model.norm_out.pipeline_stage, model.lm_head.pipeline_stage, loss.pipeline_stage) == (1, 1, 1)


@pytest.mark.parametrize(
    ("setting", "layers"), [(False, ()), (True, (0, 1, 2, 3, 4)), ((1, 2), (0, 2, 3)), ((0, 3), (2, 3, 4))]
)
def test_whole_layers_are_computed_again(setting: bool | tuple[int, ...], layers: tuple[int, ...]) -> None:
    model, _ = networks()
    set_recompute(model, STAGES, RecomputeConfig(recompute=setting))
    assert [index for index, layer in enumerate(model.model.layers) if is_recomputed(layer)] == list(layers)
    assert [index for index, layer in enumerate(model.model.layers) if not recomputed(layer)] == list(layers)


@pytest.mark.parametrize(("communicate", "slices"), [(False, True), (True, False)])
def test_collectives_and_slices_of_a_layer_that_is_computed_again(communicate: bool, slices: bool) -> None:
    model, _ = networks()
    setting = RecomputeConfig(recompute=(1, 0), mp_comm_recompute=communicate, recompute_slice_activation=slices)
    set_recompute(model, STAGES, setting)
    for _, primitive in operations(model.model.layers[0]):
        assert primitive.attrs["recompute_comm_op"] is communicate
        assert primitive.attrs["slice_activation"] is slices
    assert not any("recompute_comm_op" in primitive.attrs for _, primitive in operations(model.model.layers[1]))


def test_norms_are_computed_again_and_a_whole_layer_wins() -> None:
    model, _ = networks()
    set_recompute(model, STAGES, RecomputeConfig(recompute=(1, 0), select_recompute=(2, 1)))
    layers = [recomputed(layer) for layer in model.model.layers]
    assert [is_recomputed(layer) for layer in model.model.layers] == [True, False, False, False, False]
    assert layers[0] == []
    assert layers[1] == layers[2]
    assert layers[3] == layers[4]
    assert {"attention_norm.cast", "feed_forward.silu"} < set(layers[3]) < set(layers[1])
    assert {name.split(".")[0] for name in set(layers[1]) - set(layers[3])} == {"attention_norm", "ffn_norm"}
    assert not any(name.endswith(("matmul", "flash")) for name in layers[1])


@pytest.mark.parametrize("communicate", [False, True])
def test_what_norms_send_is_sent_again(communicate: bool) -> None:
    model, _ = networks()
    set_recompute(model, STAGES, RecomputeConfig(select_recompute=(1, 0), mp_comm_recompute=communicate))
    sent = {name: primitive.attrs.get("recompute_comm_op") for name, primitive in operations(model.model.layers[0])}
    assert sent["ffn_norm.cast_back"] is communicate
    assert sent["feed_forward.silu"] is None


@pytest.mark.parametrize(
    ("groups", "layers", "rest"), [(1, [1, 1, 1, 1, 1], 1), (2, [1, 1, 1, 2, 2], 2), (4, [1, 2, 3, 4, 5], 4)]
)
def test_gradients_of_neighbouring_layers_travel_together(groups: int, layers: list[int], rest: int) -> None:
    model, loss = networks()
    share(model, loss, config(groups, data_parallel=2))
    assert [layer.attention.wq.weight.comm_fusion for layer in model.model.layers] == layers
    for cell in (model.model.tok_embeddings, model.model.norm_out, model.lm_head):
        assert {parameter.comm_fusion for parameter in cell.get_parameters()} == {rest}


def test_with_stages_all_gradients_travel_together() -> None:
    model, loss = networks()
    share(model, loss, config(pipeline_stage=2, micro_batch_num=2))
    assert {parameter.comm_fusion for parameter in model.trainable_params()} == {2}


@pytest.mark.parametrize(("enabled", "replicas"), [(True, 2), (True, 1), (False, 2)])
def test_the_plan_says_whose_optimizer_state_is_shared(enabled: bool, replicas: int) -> None:
    model, loss = networks()
    # an fp32 copy of w1 has 24 x 16 x 4 bytes, of wk 8 x 16 x 4: only the latter is below the threshold of 1 KB
    zero = ParallelContextConfig(
        enable_parallel_optimizer=enabled,
        parallel_optimizer_config=ParallelOptimizerConfig(parallel_optimizer_threshold=1),
    )
    share(model, loss, replace(config(data_parallel=replicas), parallel=zero))
    layer = model.model.layers[0]
    assert layer.feed_forward.w1.weight.parallel_optimizer is (enabled and replicas > 1)
    assert layer.attention.wk.weight.parallel_optimizer is False
    assert layer.ffn_norm.weight.parallel_optimizer is False
