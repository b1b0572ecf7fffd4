"""Bytes of a rank: counted by hand for 34B, and held against what MindSpore's memory tracker showed."""

from collections.abc import Callable

import pytest

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import GIB
from mindcode.planner.activations import Recompute, in_flight, kept_by_layer
from mindcode.planner.memory import RankMemory, device_memory, rank_memory
from mindcode.planner.shapes import Sizes

Load = Callable[..., RunConfig]

F16, F32 = "finetune_codellama_34b_16p", "finetune_codellama_34b_32p"
FEW_LAYERS = (("model.model_config.num_layers", "4"), ("parallel_config.micro_batch_num", "4"))
MIB = 2**20

LAYER_PARTS = 2 * 8192 * 8192 // 8 + 2 * 1024 * 8192 // 8 + 3 * 22016 * 8192 // 8
"""Elements of a layer's matrices on one of 8 parts: q and output, key and value, feed-forward."""


@pytest.mark.parametrize(("rank", "norms"), [(0, 48), (7, 48), (8, 49), (15, 49)])
def test_34b_on_16_npus_by_hand(load: Load, rank: int, norms: int) -> None:
    matrices = 24 * LAYER_PARTS + 32000 * 8192 // 8
    vectors = norms * 8192
    memory = rank_memory(load(F16), rank)
    assert memory.parameters == 2 * matrices + 4 * vectors
    assert memory.gradients == memory.parameters
    assert memory.optimizer_state == 8 * (matrices + vectors)


def test_replicas_share_weights_and_state_but_not_sums_of_gradients(load: Load) -> None:
    matrices, vectors = 2 * (12 * LAYER_PARTS + 32000 * 8192 // 8), 24 * 8192
    memory = rank_memory(load(F32), 0)
    assert memory.parameters == 2 * matrices // 2 + 4 * vectors
    assert memory.gradients == 2 * matrices + 4 * vectors
    assert memory.optimizer_state == 8 * (matrices // 2 + vectors)
    whole = rank_memory(load(F32, ("parallel.enable_parallel_optimizer", "False")), 0)
    assert whole.parameters == whole.gradients == memory.gradients
    sums = ("parallel.parallel_optimizer_config.gradient_accumulation_shard", "True")
    assert rank_memory(load(F32, sums), 0).gradients == memory.parameters


def test_master_copies_are_of_what_is_in_half_precision(load: Load) -> None:
    plain, copied = (rank_memory(load(F16, *more), 0) for more in ((), (("optimizer.type", "AdamW"),)))
    matrices = 24 * LAYER_PARTS + 32000 * 8192 // 8
    assert copied.optimizer_state - plain.optimizer_state == 4 * matrices


def test_what_a_layer_of_34b_keeps(load: Load) -> None:
    """Tensors of the tracker's list, in MiB: rank 0 of 16, one layer, one micro-batch."""
    sizes = Sizes.of(load(F16))
    gathered, inputs, core, heads = 2 * 64, 2 * 8, 8 + 2, 8 + 1 + 1
    statistics = 2 * 512 * 4 / MIB
    norms_again = inputs + core + heads + 2 * 21.5
    assert kept_by_layer(sizes, Recompute.LITTLE) == (gathered + statistics + norms_again) * MIB
    assert kept_by_layer(sizes, Recompute.NORMS_BUT_MESSAGES) == (gathered + norms_again) * MIB
    assert kept_by_layer(sizes, Recompute.NORMS) == norms_again * MIB
    assert kept_by_layer(sizes, Recompute.ALL) == 8 * MIB
    assert kept_by_layer(sizes, Recompute.ALL_BUT_MESSAGES) == (8 + 8 + gathered + 16 + 2) * MIB


def test_first_stages_keep_more_micro_batches(load: Load) -> None:
    config = load(F32)
    assert [in_flight(config, stage) for stage in range(4)] == [4, 3, 2, 1]
    few = load(F32, ("parallel_config.micro_batch_num", "4"))
    assert [in_flight(few, stage) for stage in range(4)] == [4, 3, 2, 1]


def test_recomputation_and_sequence_parallelism_save_activations(load: Load) -> None:
    plain = rank_memory(load(F16), 0)
    some = rank_memory(load(F16, ("recompute_config.recompute", "[8, 0]")), 0)
    norms = rank_memory(load(F16, ("recompute_config.select_recompute", "True")), 0)
    whole_stream = rank_memory(load(F16, ("parallel_config.use_seq_parallel", "False")), 0)
    assert norms.activations < plain.activations < whole_stream.activations
    assert plain.activations - some.activations == pytest.approx(plain.activations / 3, rel=0.05)


def test_the_total_is_the_larger_of_two_moments() -> None:
    assert RankMemory(1, 2, 3, activations=10, other=5, update=14).total == 6 + 15
    assert RankMemory(1, 2, 3, activations=10, other=5, update=16).total == 6 + 16


def test_prediction_holds_weights_and_a_paged_cache(load: Load) -> None:
    memory = rank_memory(load("predict_codellama_34b"), 0)
    matrices = 2 * (48 * LAYER_PARTS + 2 * 32000 * 8192 // 8)
    assert memory.parameters == 2 * (matrices + 97 * 8192)
    assert memory.activations == 48 * 16 * 1024 * 2 * (8 // 4) * 128 * 2
    assert (memory.gradients, memory.optimizer_state, memory.update) == (0, 0, 0)


def test_prediction_as_compiled(load: Load) -> None:
    """2 layers of 34B on 4 NPUs, prefill and decode: 0.96 GiB."""
    memory = rank_memory(load("predict_codellama_34b", ("model.model_config.num_layers", "2")), 0)
    assert memory.total / GIB == pytest.approx(0.96, abs=0.01)


def test_evaluation_holds_weights_only(load: Load) -> None:
    memory = rank_memory(load(F16, ("run_mode", "eval")), 0)
    assert memory.parameters == rank_memory(load(F16), 0).parameters
    assert (memory.gradients, memory.optimizer_state, memory.activations) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "rank", "overrides", "compiled"),
    [
        (F16, 0, FEW_LAYERS, 3447),
        (F16, 8, FEW_LAYERS, 3266),
        (F16, 0, (*FEW_LAYERS, ("recompute_config.select_recompute", "True")), 3176),
        (F16, 0, (*FEW_LAYERS, ("recompute_config.recompute", "True")), 3177),
        (F16, 0, (*FEW_LAYERS, ("parallel_config.use_seq_parallel", "False")), 4105),
        (F32, 0, (*FEW_LAYERS, ("model.model_config.num_layers", "8")), 6107),
        (F32, 24, (*FEW_LAYERS, ("model.model_config.num_layers", "8")), 4753),
    ],
)
def test_the_peak_is_that_of_the_compiled_graph(
    load: Load, name: str, rank: int, overrides: tuple[tuple[str, str], ...], compiled: int
) -> None:
    """MiB that MindSpore says it would allocate (docs/planning.md); 10 % is what the page promises."""
    assert rank_memory(load(name, *overrides), rank).total / MIB == pytest.approx(compiled, rel=0.1)


def test_the_limit_is_counted_as_mindspore_does(load: Load) -> None:
    assert device_memory(load(F16)) == 55 * GIB
    assert device_memory(load(F16, ("context.max_device_memory", "1.5GB"))) == 3 * GIB // 2
