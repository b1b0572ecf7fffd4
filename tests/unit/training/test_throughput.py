"""Numbers of a step: the whole job's speed, one process', utilization, memory, the pipeline's idle share."""

import dataclasses

import pytest

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ContextConfig, ModelSection, ParallelConfig, RunConfig, RunnerConfig
from mindcode.model.stats import num_parameters
from mindcode.runtime.distributed import SINGLE
from mindcode.training.throughput import Largest, Meter, yardstick

MODEL = ModelConfig(seq_length=16, hidden_size=32, num_layers=2, num_heads=4, vocab_size=64, compute_dtype="float32")
CONFIG = RunConfig(
    use_parallel=True,
    context=ContextConfig(device_target="CPU", peak_tflops=2.0),
    model=ModelSection(model_config=MODEL),
    runner_config=RunnerConfig(batch_size=3),
    parallel_config=ParallelConfig(data_parallel=2, model_parallel=2, pipeline_stage=2, micro_batch_num=4),
)


def test_tokens_are_the_whole_jobs_and_speed_is_shared_by_all_processes() -> None:
    usage = Meter(CONFIG, None, lambda: 7)(seconds=0.5)
    assert usage.tokens == 3 * 4 * 2 * 16
    assert usage.tokens_per_second == usage.tokens / 0.5
    assert usage.tokens_per_second_per_process == usage.tokens_per_second / 8
    assert (usage.mfu, usage.peak_memory_bytes) == (None, 7)


def test_utilization_is_the_work_of_the_model_over_what_the_devices_could_do() -> None:
    """PaLM, appendix B: 6 N + 12 L H Q T a token; here N without the embedding, which only looks up, and half of T."""
    matrices = num_parameters(MODEL) - 5 * 32 - 64 * 32
    flops = 6 * matrices + 6 * 2 * 4 * 8 * 16
    usage = Meter(CONFIG, 2e12, lambda: 0)(seconds=0.25)
    assert usage.mfu == pytest.approx(usage.tokens * flops / (0.25 * 8 * 2e12), rel=1e-12)


def test_one_process_has_no_bubble() -> None:
    alone = dataclasses.replace(CONFIG, use_parallel=False)
    meter = Meter(alone, None, lambda: 0)
    assert meter(1.0).bubble_share == 0.0
    assert (meter(1.0).tokens, meter.rows_per_process) == (48, 3)


def test_a_stated_peak_wins_and_ascend_has_no_other(messages: list[str]) -> None:
    assert yardstick(CONFIG, SINGLE) == 2e12
    ascend = dataclasses.replace(CONFIG, context=ContextConfig(device_target="Ascend"))
    assert yardstick(ascend, SINGLE) is None
    assert "context.peak_tflops" in messages[-1]


def test_a_cpu_is_measured(messages: list[str]) -> None:
    flops = yardstick(dataclasses.replace(CONFIG, context=ContextConfig(device_target="CPU")), SINGLE)
    assert flops is not None and flops > 1e8
    assert "measured" in messages[-1]


def test_one_process_is_the_largest() -> None:
    assert Largest(SINGLE, lambda: 123_456_789_012)() == 123_456_789_012
