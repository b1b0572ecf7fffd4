"""Whose steps an engine takes: a table by `context.device_target`.

make = steps_on("CPU")
steps = make(config, blocks, batch_size=32, group=SINGLE)        # blocks: (name, this process' part in float32), ...
"""

from collections.abc import Callable, Iterable

import numpy as np

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.batch import Steps
from mindcode.generation.engine import longest_text
from mindcode.generation.executor import Executor, prefill_lanes
from mindcode.generation.npu import paged_generation
from mindcode.runtime.distributed import Group
from mindcode.utils.lookup import lookup

Blocks = Iterable[tuple[str, np.ndarray]]
MakeSteps = Callable[[ModelConfig, Blocks, int, Group], Steps]


def steps_on(device_target: str) -> MakeSteps:
    """Return the row of the table; UserError for a device that is not in it."""
    return lookup(MAKERS, device_target, "context.device_target")


def _on_cpu(config: ModelConfig, blocks: Blocks, batch_size: int, group: Group) -> Steps:
    return Executor(config, dict(blocks), batch_size, longest_text(config), prefill_lanes(batch_size), group)


def _on_npu(config: ModelConfig, blocks: Blocks, batch_size: int, group: Group) -> Steps:
    generation = paged_generation(config, group, batch_size)
    generation.load(blocks)
    return generation.executor


MAKERS: dict[str, MakeSteps] = {"CPU": _on_cpu, "Ascend": _on_npu}
