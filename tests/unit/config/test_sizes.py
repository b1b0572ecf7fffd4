"""Numbers that follow from a configuration."""

import pytest

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ParallelConfig, RunConfig, RunnerConfig
from mindcode.config.sizes import bubble_share, micro_batches_per_step, processes_needed, rows_per_step


@pytest.mark.parametrize(
    ("hidden", "multiplier", "multiple", "width"),
    [(4096, None, 256, 11008), (5120, None, 256, 13824), (8192, None, 256, 22016), (8192, 1.3, 256, 28672)],
    ids=["7b", "13b", "34b", "70b"],
)
def test_feed_forward_width(hidden: int, multiplier: float | None, multiple: int, width: int) -> None:
    config = ModelConfig(hidden_size=hidden, ffn_dim_multiplier=multiplier, multiple_of=multiple)
    assert config.ffn_size == width


@pytest.mark.parametrize(
    ("parallel", "degrees", "accumulation", "processes", "rows"),
    [
        (False, ParallelConfig(data_parallel=8, micro_batch_num=4), 3, 1, 6),
        (True, ParallelConfig(data_parallel=8, micro_batch_num=4), 3, 8, 48),
        (True, ParallelConfig(data_parallel=2, model_parallel=4, pipeline_stage=4, micro_batch_num=128), 1, 32, 512),
    ],
    ids=["one process", "copies", "stages"],
)
def test_rows_of_a_step(parallel: bool, degrees: ParallelConfig, accumulation: int, processes: int, rows: int) -> None:
    runner = RunnerConfig(batch_size=2, gradient_accumulation_steps=accumulation)
    config = RunConfig(use_parallel=parallel, parallel_config=degrees, runner_config=runner)
    assert processes_needed(config) == processes
    assert rows_per_step(config) == rows
    assert rows == 2 * micro_batches_per_step(config) * (degrees.data_parallel if parallel else 1)


@pytest.mark.parametrize(
    ("stages", "micro_batches", "share"), [(1, 1, 0.0), (2, 128, 1 / 129), (4, 128, 3 / 131), (4, 4, 3 / 7)]
)
def test_the_bubble_shrinks_with_micro_batches(stages: int, micro_batches: int, share: float) -> None:
    degrees = ParallelConfig(pipeline_stage=stages, micro_batch_num=micro_batches)
    assert bubble_share(RunConfig(use_parallel=True, parallel_config=degrees)) == pytest.approx(share)
    assert bubble_share(RunConfig(use_parallel=False, parallel_config=degrees)) == 0
