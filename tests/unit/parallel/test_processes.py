"""Where processes stand and what is refused, before any group is made."""

from dataclasses import replace

import pytest

from mindcode.config.schema import ContextConfig, ParallelConfig, RunConfig
from mindcode.parallel.processes import join_processes
from mindcode.runtime.distributed import SINGLE, World
from mindcode.utils.errors import UserError


def config(device: str) -> RunConfig:
    return RunConfig(
        use_parallel=True,
        context=ContextConfig(device_target=device),
        parallel_config=ParallelConfig(data_parallel=2),
    )


@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_degrees_that_do_not_make_the_processes_are_refused(device: str) -> None:
    message = "data_parallel 2 x model_parallel 1 x pipeline_stage 1 = 2, but 4 processes run"
    with pytest.raises(UserError, match=message):
        join_processes(config(device), World(0, 4))


def test_npus_talk_to_all_and_leave_the_rest_to_the_compiler() -> None:
    processes = join_processes(config("Ascend"), World(1, 2))
    assert (processes.everyone.index, processes.everyone.size) == (1, 2)
    assert {processes.tensor, processes.data, processes.model, processes.before, processes.after} == {SINGLE}
    assert (processes.rows_part, processes.rows_parts) == (0, 1)
    assert processes.place.replica == 1


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (replace(config("Ascend"), do_eval=True), "do_eval: True, but the loss on eval_dataset"),
        (replace(config("Ascend"), run_mode="eval"), "run_mode: eval, but the loss on eval_dataset"),
    ],
)
def test_several_npus_do_not_evaluate(run: RunConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        join_processes(run, World(0, 2))
