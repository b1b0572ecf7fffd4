"""Depths that are compiled, and what follows from them."""

from dataclasses import replace
from pathlib import Path

import pytest

from mindcode.config.loader import load_config
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ModelSection, ParallelConfig, RecomputeConfig, RunConfig
from mindcode.dryrun.depth import KEPT, NORMS, WHOLE, alike, alone, first, overrides, sample, stage_layers, trend

STAGES = RunConfig(
    use_parallel=True,
    model=ModelSection(ModelConfig(num_layers=20, offset=(1, -1))),
    parallel_config=ParallelConfig(pipeline_stage=2, micro_batch_num=2),
    recompute_config=RecomputeConfig(recompute=(3, 0), select_recompute=(5, 2)),
)


def test_layers_of_a_stage_by_kind() -> None:
    assert stage_layers(STAGES, 0) == {WHOLE: 3, NORMS: 2, KEPT: 6}
    assert stage_layers(STAGES, 1) == {NORMS: 2, KEPT: 7}
    assert stage_layers(replace(STAGES, recompute_config=RecomputeConfig()), 1) == {KEPT: 9}


def test_one_compilation_more_than_kinds() -> None:
    assert sample({KEPT: 24}) == ({KEPT: 2}, {KEPT: 4})
    assert sample({NORMS: 8, KEPT: 2}) == ({NORMS: 2, KEPT: 2}, {NORMS: 4, KEPT: 2}, {NORMS: 2, KEPT: 4})


def test_few_layers_are_compiled_as_they_are() -> None:
    assert sample({KEPT: 4}) == ({KEPT: 4},)


@pytest.mark.parametrize("layers", [{KEPT: 24}, {WHOLE: 3, NORMS: 10, KEPT: 6}])
def test_a_sum_over_layers_is_found_exactly(layers: dict[str, int]) -> None:
    def value(depth: dict[str, int]) -> int:
        return 700 + 30 * depth.get(KEPT, 0) + 20 * depth.get(NORMS, 0) + 5 * depth.get(WHOLE, 0)

    depths = sample(layers)
    found = trend([value(dict(depth)) for depth in depths], depths)
    assert found.at(layers) == pytest.approx(value(layers))
    assert found.per_layer[KEPT] == pytest.approx(30)


def test_a_single_depth_is_its_own_answer() -> None:
    assert trend([77.0], [{KEPT: 4}]).at({KEPT: 4}) == pytest.approx(77)


def test_the_first_layers_of_a_stage() -> None:
    assert first({WHOLE: 3, KEPT: 6}, 2) == {WHOLE: 2}
    assert first({WHOLE: 3, KEPT: 6}, 5) == {WHOLE: 3, KEPT: 2}
    assert first({KEPT: 2}, 4) == {KEPT: 4}


def test_the_keys_give_every_stage_these_layers() -> None:
    layers = {WHOLE: 1, NORMS: 2, KEPT: 4}
    keys = dict(overrides(layers, alike(layers, 2)))
    assert keys["model.model_config.num_layers"] == "14"
    assert keys["recompute_config.recompute"] == "[1, 1]"
    assert keys["recompute_config.select_recompute"] == "[3, 3]"


@pytest.mark.parametrize("stage", [0, 3, 7])
def test_a_shipped_file_takes_the_keys_of_one_stage(stage: int, repository: Path) -> None:
    path, layers = repository / "configs/codellama/pretrain_codellama_70b.yaml", {NORMS: 2, KEPT: 4}
    config = load_config(path, overrides(layers, alone(layers, 8, stage)))
    assert stage_layers(config, stage) == layers
    assert config.model.model_config.num_layers == 6 + 7
