"""What is refused before any group is made."""

import pytest

from mindcode.config.schema import ContextConfig, ParallelConfig, RunConfig
from mindcode.parallel.processes import join_processes
from mindcode.runtime.distributed import World
from mindcode.utils.errors import UserError


@pytest.mark.parametrize(
    ("device", "world", "message"),
    [
        ("CPU", World(0, 4), "data_parallel 2 x model_parallel 1 x pipeline_stage 1 = 2, but 4 processes run"),
        ("Ascend", World(1, 2), "context.device_target: Ascend, but training over several processes runs on CPUs"),
    ],
)
def test_processes_that_cannot_train_together(device: str, world: World, message: str) -> None:
    config = RunConfig(
        use_parallel=True,
        context=ContextConfig(device_target=device),
        parallel_config=ParallelConfig(data_parallel=2),
    )
    with pytest.raises(UserError, match=message):
        join_processes(config, world)
