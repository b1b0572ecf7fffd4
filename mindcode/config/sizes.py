"""Numbers that follow from a configuration: the processes it needs, the rows of one optimizer step."""

from mindcode.config.schema import RunConfig

NPUS_PER_MACHINE = 8
"""Of an Atlas 800T A2 or 900 A2 PoDc node."""
GIB = 2**30
"""What MindSpore means by the GB of max_device_memory."""


def processes_needed(config: RunConfig) -> int:
    """data_parallel x model_parallel x context_parallel x pipeline_stage, or 1 without use_parallel."""
    degrees = config.parallel_config
    if not config.use_parallel:
        return 1
    return degrees.data_parallel * degrees.model_parallel * degrees.context_parallel * degrees.pipeline_stage


def micro_batches_per_step(config: RunConfig) -> int:
    """Micro-batches that one data-parallel copy accumulates: micro_batch_num with stages, else the runner's number."""
    if config.use_parallel and config.parallel_config.pipeline_stage > 1:
        return config.parallel_config.micro_batch_num
    return config.runner_config.gradient_accumulation_steps


def rows_per_step(config: RunConfig) -> int:
    """Training rows in one optimizer step over all processes (the global batch)."""
    copies = config.parallel_config.data_parallel if config.use_parallel else 1
    micro_batch = config.runner_config.batch_size * config.micro_batch_interleave_num
    return micro_batch * copies * micro_batches_per_step(config)


def bubble_share(config: RunConfig) -> float:
    """Return (p - 1) / (m + p - 1): the idle share of one forward, one backward (Narayanan et al. 2021).

    p stages that take equally long, m micro-batches.
    """
    stages = config.parallel_config.pipeline_stage if config.use_parallel else 1
    return (stages - 1) / (micro_batches_per_step(config) + stages - 1)


def harness_names(config: RunConfig) -> list[str]:
    """Return the folder of each BigCodeEvalHarness under output_dir."""
    return [harness.name_scope or f"bigcode_{n}" for n, harness in enumerate(config.bigcode_eval_harness)]
