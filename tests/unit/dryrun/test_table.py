"""From compiled graphs to figures, checks and lines: a stage made up by hand, two depths of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.dryrun import table
from mindcode.dryrun.checks import Check, checks_of, pairing
from mindcode.dryrun.depth import KEPT
from mindcode.dryrun.dry_run import Compiled, Failed, Stage
from mindcode.dryrun.figures import OPTIMIZER, WEIGHTS, memory_of, traffic_of
from mindcode.dryrun.ir import BACKWARD, FORWARD, STEP, Collective, Graph, Operator, TensorType
from mindcode.dryrun.job import Answer, Job
from mindcode.parallel.plan import blocks_on

PARTS, MICRO = tuple(range(8)), 4
HIDDEN = TensorType((4096, 8192), "Float16")


def graph(config: RunConfig, layers: int, without: str = "", operators: Mapping[Operator, int] | None = None) -> Graph:
    """What the plan wants, but for a tensor that is missing and operators that are more."""
    held = {
        prefix + name: TensorType(block.shape, dtype)
        for name, block in blocks_on(config, 0).items()
        for prefix, dtype in (
            ("", "Float32" if "norm" in name else "Float16"),
            ("adam_m.", "Float32"),
            ("adam_v.", "Float32"),
        )
        if name != without
    }
    kinds = [
        Operator("MatMul", FORWARD, ((1, 1), (8, 1))),
        Operator("RmsNorm", FORWARD, ((8, 1), (1,))),
        Operator("FlashAttentionScore", FORWARD, ((1, 8, 1, 1),)),
    ]
    counts = {kind: each * layers * MICRO for kind, each in zip(kinds, (7, 2, 1), strict=True)}
    counts |= {kind: each * layers * MICRO for kind, each in (operators or {}).items()}
    collectives = {
        Collective(kind, FORWARD, PARTS, HIDDEN): 2 * layers * MICRO for kind in ("AllGather", "ReduceScatter")
    }
    collectives[Collective("AllGather", BACKWARD, (0,), HIDDEN)] = layers  # a group of one: nothing is sent
    collectives[Collective("AllReduce", STEP, PARTS, TensorType((), "Float32"))] = 1
    return Graph(held, counts, collectives)


@pytest.fixture(scope="module")
def path(repository: Path) -> Path:
    return repository / "configs/codellama/pretrain_codellama_34b.yaml"


def stage_of(path: Path, without: str = "", operators: Mapping[Operator, int] | None = None) -> Stage:
    compiled = []
    for layers in (2, 4):
        overrides = (("model.model_config.num_layers", str(2 * layers)),)
        config = load_config(path, overrides)
        job, answer = Job(str(path), overrides, 0, "nowhere"), Answer(10.0, 2 << 30, (1 + 2 * layers) << 30)
        compiled.append(Compiled({KEPT: layers}, job, answer, {"step": graph(config, layers, without, operators)}))
    return Stage(0, 0, load_config(path, [("context.jit_config.jit_level", "O2")]), tuple(compiled))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.what: check for check in checks}


def test_figures_are_those_of_all_layers_and_micro_batches(path: Path) -> None:
    stage = stage_of(path)
    memory = memory_of(stage)
    assert memory.peak == (1 + 2 * 24) << 30
    assert memory.resident[WEIGHTS] == 4_219_469_824
    assert memory.resident[OPTIMIZER] == 16_874_733_568
    counts = {each.collective.kind: each.count for each in traffic_of(stage, "step")}
    assert counts == {"AllGather": 2 * 24 * 128, "ReduceScatter": 2 * 24 * 128, "AllReduce": 1}


def test_a_graph_as_planned_passes_every_check(path: Path) -> None:
    checks = checks_of(stage_of(path))
    assert len(checks) == 6 and all(check.ok for check in checks), checks


def test_a_missing_weight_is_found(path: Path) -> None:
    checks = by_name(checks_of(stage_of(path, without="model.layers.0.attention.wq.weight")))
    assert not checks["local shapes"].ok
    assert "model.layers.0.attention.wq.weight is missing" in checks["local shapes"].numbers


def test_an_operator_without_a_strategy_is_found(path: Path) -> None:
    checks = by_name(checks_of(stage_of(path, operators={Operator("Add", FORWARD, ()): 2})))
    assert not checks["every operator of a layer has a strategy"].ok
    assert checks["every operator of a layer has a strategy"].numbers == "2 Add have none"


def test_a_replicated_operator_is_found(path: Path) -> None:
    checks = by_name(checks_of(stage_of(path, operators={Operator("Add", FORWARD, ((1, 1), (1, 1))): 2})))
    assert not checks["no operator of a layer is replicated"].ok
    assert checks["no operator of a layer is replicated"].numbers == "not cut into 8: 2 Add"


def test_a_stage_alone_has_nobody_to_pair_with(path: Path) -> None:
    assert pairing([stage_of(path)]) == []


def test_the_table_says_whether_it_fits_and_what_was_changed(path: Path) -> None:
    stage = stage_of(path)
    lines = table.of_stages([stage])
    assert lines[-2].split() == ["peak,", "GiB", "49.00"]
    assert lines[-1].endswith("55GB: fits, 6.00 GiB left")
    assert table.heading(stage.config, [stage]) == [
        "codellama_34b on 16 NPUs: data_parallel 1, model_parallel 8, pipeline_stage 2",
        "compiled with 2 and 4 layers of a stage instead of 24",
        "compiled with 4 micro-batches instead of 128: the peak does not depend on their number",
        "compiled at jit_level O1 instead of O2",
    ]
    words = "AllGather forward, ranks 0-7 Float16 4096x8192 6144 x 384.00 GiB"
    assert table.of_traffic(stage, "step")[1].split() == words.split()


def test_a_failure_ends_in_what_mindspore_said(path: Path) -> None:
    failed = Failed(1, Job(str(path), (), 8, "nowhere"), Answer(error="RuntimeError: no", trace="first\nlast"))
    assert table.of_failure(failed) == ["stage 1 does not compile: RuntimeError: no", "  first", "  last"]
