"""One NPU of a job, played by this process: compiles what the configuration asks for and says what it would take.

    python -m mindcode.dryrun.rank JOB.json

Started by runner.py with the environment of a simulated rank. A crash inside the stub ends this process only.
"""

import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor
from mindspore.communication import init

from mindcode.config.loader import load_config, read_tree
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import processes_needed, rows_per_step
from mindcode.dryrun.explain import explain
from mindcode.dryrun.job import Answer, Job, read_job, write_answer
from mindcode.generation.npu import npu_generation
from mindcode.parallel.semi_auto_step import SCALARS
from mindcode.runtime.context import set_context_of_simulation
from mindcode.training.npu import npu_training
from mindcode.utils.errors import UserError

_TRACE_LINES = 12


def main(path: Path) -> int:
    """Do the job and write the answer, also when it is an error."""
    job = read_job(path)
    try:
        answer = simulate(job)
    except UserError as error:
        answer = Answer(error=str(error))
    except Exception as error:  # whatever MindSpore raises is the answer
        answer = Answer(error=explain(error), trace=_end(traceback.format_exc()))
    write_answer(job, answer)
    return 1 if answer.error else 0


def simulate(job: Job) -> Answer:
    """Compile, allocate, and measure both."""
    config = load_config(Path(job.config), job.overrides)
    started = time.monotonic()
    ENGINES[config.engine](config, job)
    seconds = time.monotonic() - started
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Answer(seconds, host, int(ms.runtime.max_memory_allocated()))


def compile_ours(config: RunConfig, job: Job) -> None:
    """Compile what the run mode needs."""
    set_context_of_simulation(config.context)
    if processes_needed(config) > 1:
        init()
    COMPILED[config.run_mode](config, job.rank)


def compile_theirs(config: RunConfig, job: Job) -> None:
    """Compile MindFormers' training step; it sets up MindSpore by itself."""
    from mindcode.neighbours.simulate import compile_training

    compile_training(config, read_tree(Path(job.config), job.overrides), Path(job.folder))


ENGINES: dict[str, Callable[[RunConfig, Job], None]] = {"mindcode": compile_ours, "mindformers": compile_theirs}
"""Whose graph is compiled, by engine."""


def compile_training(config: RunConfig, rank: int) -> None:
    """Compile one optimizer step and have MindSpore allocate what it needs."""
    training = npu_training(config, rank)
    training.compile()
    rows = np.zeros((rows_per_step(config), config.model.model_config.seq_length), np.int32)
    training.step(rows, rows, 1.0, Tensor(np.ones(SCALARS), ms.float32))


def compile_generation(config: RunConfig, rank: int) -> None:
    """Compile the prefill of the longest prompt and a decode step, and allocate for both."""
    generation = npu_generation(config, rank)
    generation.compile()
    generation.rehearse()


COMPILED: dict[str, Callable[[RunConfig, int], None]] = {
    "train": compile_training,
    "finetune": compile_training,
    "predict": compile_generation,
}
"""What is compiled, by run_mode."""


def _end(trace: str) -> str:
    """Return MindSpore's own words: the end of a trace, up to the list of places in its source."""
    lines = trace.split("\n- C++ Call Stack")[0].splitlines()
    return "\n".join(lines[-_TRACE_LINES:])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
