"""One simulated NPU of benchmarks/mindformers_graph.py: python mindformers_graph_peer.py JOB.json.

Compiles mindcode's step, or MindFormers' where the job says engine: mindformers, measures both in the same way, and
writes Measured as JSON to the job's answer.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
from mindspore.graph.api import _CellGraphExecutor

from mindcode.config.loader import load_config, read_tree
from mindcode.dryrun.job import read_job
from mindcode.dryrun.rank import simulate
from mindcode.neighbours.simulate import compile_training


class Measured(NamedTuple):
    """What one side took."""

    compile_seconds: float
    """Of the largest graph, in MindSpore's compiler."""
    cpu_seconds: float
    """Of the same compilation, all threads."""
    host_bytes: int
    device_bytes: int


def watch_compiler() -> list[tuple[float, float]]:
    """Return a list that gets the seconds of each compilation, on the clock and of the processor."""
    seconds: list[tuple[float, float]] = []
    compile_cell = _CellGraphExecutor.compile

    def timed(executor: Any, *arguments: Any, **keywords: Any) -> Any:
        started, used = time.monotonic(), time.process_time()
        found = compile_cell(executor, *arguments, **keywords)
        seconds.append((time.monotonic() - started, time.process_time() - used))
        return found

    _CellGraphExecutor.compile = timed
    return seconds


def main(path: Path) -> None:
    job, seconds = read_job(path), watch_compiler()
    config = load_config(Path(job.config), job.overrides)
    if config.engine == "mindformers":
        compile_training(config, read_tree(Path(job.config), job.overrides), Path(job.folder))
    else:
        simulate(job)
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = Measured(*max(seconds), host, int(ms.runtime.max_memory_allocated()))
    job.answer.write_text(json.dumps(measured._asdict()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
