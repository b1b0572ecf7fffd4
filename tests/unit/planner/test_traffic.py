"""Messages against the graphs that MindSpore compiles for the two published splits: as many, of the same size."""

from collections import Counter
from collections.abc import Callable

import pytest

from mindcode.config.schema import RunConfig
from mindcode.planner.traffic import Message, stage_traffic

Load = Callable[..., RunConfig]

F16, F32 = "finetune_codellama_34b_16p", "finetune_codellama_34b_32p"
FOUR = ("parallel_config.micro_batch_num", "4")


def counts(config: RunConfig, stage: int) -> dict[str, int]:
    found: Counter[str] = Counter()
    for message in stage_traffic(config, stage):
        found[message.kind] += message.count
    return dict(found)


@pytest.mark.parametrize(
    ("name", "layers", "stage", "compiled"),
    [
        (F16, 4, 0, {"AllGather": 36, "ReduceScatter": 36, "AllReduce": 5, "Send": 4, "Receive": 4}),
        (F16, 4, 1, {"AllGather": 36, "ReduceScatter": 36, "AllReduce": 26, "Send": 4, "Receive": 4}),
        (F32, 8, 3, {"AllGather": 36 + 15, "ReduceScatter": 36 + 15, "AllReduce": 38, "Send": 4, "Receive": 4}),
    ],
)
def test_as_many_as_in_the_compiled_graph(
    load: Load, name: str, layers: int, stage: int, compiled: dict[str, int]
) -> None:
    assert counts(load(name, FOUR, ("model.model_config.num_layers", str(layers))), stage) == compiled


def test_without_sequence_parallelism_all_sums_are_all_reduce(load: Load) -> None:
    config = load(F16, FOUR, ("model.model_config.num_layers", "4"), ("parallel_config.use_seq_parallel", "False"))
    assert counts(config, 0) == {"AllReduce": 32 + 8 + 4 + 1, "Send": 4, "Receive": 4}
    assert counts(config, 1) == {"AllReduce": 32 + 20 + 5 + 1, "Send": 4, "Receive": 4}


def test_a_stream_is_a_micro_batch_in_half_precision(load: Load) -> None:
    (gathers,) = [m for m in stage_traffic(load(F16), 0) if (m.kind, m.purpose) == ("AllGather", "layers")]
    assert gathers.group == tuple(range(8))
    assert gathers.count == 4 * 24 * 128
    assert gathers.tensor_bytes == gathers.count * 4096 * 8192 * 2
    assert gathers.sent_bytes == gathers.tensor_bytes * 7 / 8


def test_a_middle_stage_has_two_neighbours(load: Load) -> None:
    messages = [m for m in stage_traffic(load(F32), 1) if m.purpose == "pipeline"]
    assert [(m.kind, m.group) for m in messages] == [
        ("Send", (0,)),
        ("Receive", (0,)),
        ("Send", (16,)),
        ("Receive", (16,)),
    ]


def test_every_send_has_its_receive(load: Load) -> None:
    pairs: Counter[tuple[int, ...]] = Counter()
    for stage in range(4):
        for message in stage_traffic(load(F32), stage):
            if message.kind in ("Send", "Receive"):
                ends = (8 * stage, message.group[0])
                pairs[ends if message.kind == "Send" else ends[::-1]] += 1 if message.kind == "Send" else -1
    assert set(pairs.values()) == {0}


def test_shares_of_a_group() -> None:
    assert Message("AllReduce", "", "step", (0, 1, 2, 3), 1, 100).sent_bytes == 150
    assert Message("Send", "", "step", (8,), 1, 100).sent_bytes == 100


def test_a_layer_that_is_computed_again_gathers_twice_more_and_scatters_once_more(load: Load) -> None:
    config = load(F16, FOUR, ("model.model_config.num_layers", "4"), ("recompute_config.recompute", "True"))
    found = counts(config, 0)
    assert (found["AllGather"], found["ReduceScatter"]) == (36 + 16, 36 + 8)
    silent = load(
        F16,
        FOUR,
        ("model.model_config.num_layers", "4"),
        ("recompute_config.recompute", "True"),
        ("recompute_config.mp_comm_recompute", "False"),
    )
    assert (counts(silent, 0)["AllGather"], counts(silent, 0)["ReduceScatter"]) == (36, 36)
