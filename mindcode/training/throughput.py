"""What a step makes of the machine: tokens/s, model FLOPs utilization, memory, the pipeline's idle share.

meter = Meter(config, peak_flops=yardstick(config, everyone), memory=Largest(everyone, peak_memory))
usage = meter(step_seconds)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import bubble_share, processes_needed, rows_per_step
from mindcode.model.dtypes import dtypes_of
from mindcode.model.stats import train_flops_per_token
from mindcode.runtime.distributed import Group, GroupSum
from mindcode.runtime.peak import measured_flops
from mindcode.utils.log import get_logger


@dataclass(frozen=True)
class Usage:
    """What one optimizer step made of the machine; a part of its row in metrics.jsonl."""

    tokens: int
    """Tokens that went through the model in this step, in all processes."""
    tokens_per_second: float
    """Of the whole job."""
    tokens_per_second_per_process: float
    mfu: float | None
    """Model FLOPs utilization, from 0 to 1; None without a peak to compare with."""
    peak_memory_bytes: int
    """Of the process that has used the most so far."""
    bubble_share: float
    """Share of a step in which a pipeline stage has nothing to do, if all stages take equally long."""


class Meter:
    """(seconds of a step) -> Usage.

    Model FLOPs utilization is the work that the model needs (Chowdhery et al. 2022, PaLM, appendix B) over what the
    devices could do in that time. Matrix products count two operations for each weight and token, forward, and twice
    as much backward; attention counts the half of the score matrix that a causal model needs, where PaLM's formula
    takes all of it. What is computed again to save memory is not counted: it is no progress.
    """

    def __init__(self, config: RunConfig, peak_flops: float | None, memory: Callable[[], int]) -> None:
        length, processes = config.model.model_config.seq_length, processes_needed(config)
        self.rows_per_process = rows_per_step(config) / processes
        self._tokens, self._processes = rows_per_step(config) * length, processes
        self._flops_per_token, self.peak_flops = train_flops_per_token(config.model.model_config, length), peak_flops
        self._memory, self._bubble = memory, bubble_share(config)

    def __call__(self, seconds: float) -> Usage:
        """Return what a step of `seconds` achieved."""
        speed = self._tokens / seconds
        own_speed = speed / self._processes
        return Usage(
            tokens=self._tokens,
            tokens_per_second=speed,
            tokens_per_second_per_process=own_speed,
            mfu=own_speed * self._flops_per_token / self.peak_flops if self.peak_flops else None,
            peak_memory_bytes=self._memory(),
            bubble_share=self._bubble,
        )


class Largest:
    """Every process' number -> the largest of them, on every process."""

    def __init__(self, group: Group, own: Callable[[], int]) -> None:
        self._sum, self._place, self._size, self._own = GroupSum(group), group.index, group.size, own

    def __call__(self) -> int:
        """Ask all; waits for the whole group."""
        numbers = np.zeros(self._size, np.float64)
        numbers[self._place] = self._own()
        return int(self._sum(numbers).max())


def yardstick(config: RunConfig, everyone: Group) -> float | None:
    """Return the FLOP/s of one process' device: as configured, else measured on a CPU, else None. All call it."""
    if config.context.peak_tflops is not None:
        return config.context.peak_tflops * 1e12
    if config.context.device_target != "CPU":
        get_logger().info("MFU is left out: set context.peak_tflops to the peak of one NPU, from its data sheet")
        return None
    flops = measured_flops(everyone, dtypes_of(config.model.model_config).compute)
    get_logger().info("MFU is against %.3f TFLOP/s a process, measured with products of matrices", flops / 1e12)
    return flops
