"""The reader of MindSpore's graph files, on lines of a real one: Code Llama 34B, stage 0 of the plan for 16 NPUs."""

from pathlib import Path

import pytest

from mindcode.dryrun.ir import (
    BACKWARD,
    FORWARD,
    STEP,
    Collective,
    Graph,
    Operator,
    TensorType,
    dumped_graphs,
    read_graph,
)
from mindcode.utils.errors import UserError

STAGE = tuple(range(8))
PARTS, WHOLE = TensorType((512, 8192), "Float16"), TensorType((4096, 8192), "Float16")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(Path(__file__).parents[2] / "golden/dryrun/step.ir")


def test_what_stays_in_memory_and_nothing_else(graph: Graph) -> None:
    assert len(graph.parameters) == 9
    assert graph.parameters["model.layers.0.attention.wk.weight"] == TensorType((128, 8192), "Float16")
    assert graph.parameters["adam_m.model.layers.0.attention_norm.weight"] == TensorType((8192,), "Float32")
    assert graph.parameters["accu_grads.model.tok_embeddings.embedding_weight"].bytes == 4000 * 8192 * 2


def test_collectives_with_phase_group_and_the_larger_side(graph: Graph) -> None:
    for kind in ("AllGather", "ReduceScatter"):
        for phase in (FORWARD, BACKWARD):
            assert graph.collectives[Collective(kind, phase, STAGE, WHOLE)] == 1
    norms, total = TensorType((8192,), "Float32"), TensorType((), "Float32")
    assert graph.collectives[Collective("AllReduce", STEP, STAGE, norms)] == 1
    assert graph.collectives[Collective("AllReduce", STEP, tuple(range(16)), total)] == 1


def test_a_message_names_the_partner(graph: Graph) -> None:
    assert graph.collectives[Collective("Send", FORWARD, (8,), PARTS)] == 1
    assert graph.collectives[Collective("Receive", BACKWARD, (8,), PARTS)] == 1


def test_operators_with_their_strategies(graph: Graph) -> None:
    assert graph.operators[Operator("MatMul", FORWARD, ((1, 1), (8, 1)))] == 1
    assert graph.operators[Operator("MatMul", BACKWARD, ())] == 1
    assert graph.operators[Operator("RmsNorm", FORWARD, ((8, 1), (1,)))] == 1


def test_a_partner_is_counted_inside_its_group(tmp_path: Path) -> None:
    line = "  %1(x) = Send(%0) primitive_attrs: {dest_rank: I64(1), group_rank_ids: (3, 11), sr_tag: I64(2)}\n"
    file = tmp_path / "20_validate_0001.ir"
    file.write_text(line + "      : (<Tensor[BFloat16], (2, 3)>) -> (<Tensor[BFloat16], (2, 3)>)\n")
    (found,) = read_graph(file).collectives
    assert found == Collective("Send", STEP, (11,), TensorType((2, 3), "BFloat16"), tag=2)


def test_the_largest_graphs_in_the_order_of_compilation(tmp_path: Path) -> None:
    for number, size in ((9, 500), (20, 10), (100, 400)):
        (tmp_path / f"20_validate_{number:04}.ir").write_text("x" * size)
    assert [path.stem[-4:] for path in dumped_graphs(tmp_path, 2)] == ["0009", "0100"]
    with pytest.raises(UserError, match="wrote 3 graphs; expected 4"):
        dumped_graphs(tmp_path, 4)
