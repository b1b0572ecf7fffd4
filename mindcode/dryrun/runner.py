"""Starts simulated ranks, as many at a time as the machine bears, and collects their answers.

answers = run(jobs, world_size=16, host_bytes=4 << 30)
"""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mindcode.dryrun.environment import dumped, simulated_rank
from mindcode.dryrun.ir import PASS
from mindcode.dryrun.job import Answer, Job, read_answer, write_job
from mindcode.dryrun.stub import ensure_stub
from mindcode.dryrun.wheel import mindspore_folder
from mindcode.runtime.process_log import last_words
from mindcode.runtime.processes import Child, stop
from mindcode.utils.progress import Progress

_POLL_SECONDS, _MEMORY = 0.2, Path("/proc/meminfo")


def run(jobs: Sequence[Job], world_size: int, host_bytes: int) -> list[Answer]:
    """Return the answer to each job; one that fails is an answer, too.

    `host_bytes` is what one compilation may take of this machine's memory: it limits how many run at a time.
    """
    stub, mindspore = ensure_stub(), mindspore_folder()
    waiting, running, slots = list(jobs), list[Child](), places(host_bytes)
    children: dict[Job, Child] = {}
    with Progress("compile", len(jobs), "graph") as progress:
        try:
            while waiting or running:
                while waiting and len(running) < slots:
                    job = waiting.pop(0)
                    children[job] = _start(job, simulated_rank(stub, mindspore, job.rank, world_size))
                    running.append(children[job])
                time.sleep(_POLL_SECONDS)
                still = [child for child in running if child.exit_code() is None]
                progress.advance(len(running) - len(still))
                running = still
        finally:
            stop(running, signal.SIGTERM, 0.0)
    return [read_answer(job) or _without_a_word(children[job]) for job in jobs]


def places(host_bytes: int) -> int:
    """Return how many compilations run at a time: one on each core, if there is memory for all of them."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _available_bytes() // host_bytes))


def _available_bytes() -> int:
    words = _MEMORY.read_text(encoding="utf-8").split()
    return int(words[words.index("MemAvailable:") + 1]) * 1024


def _start(job: Job, environment: Mapping[str, str]) -> Child:
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    question = folder / "job.json"
    write_job(question, job)
    command = [sys.executable, "-m", "mindcode.dryrun.rank", str(question)]
    return Child(f"rank {job.rank}", command, {**environment, **dumped(PASS, folder)}, folder / "log")


def _without_a_word(child: Child) -> Answer:
    """Return what is known of a process that ended before it could answer."""
    code, end = child.exit_code() or 0, "\n".join(last_words(child.log))
    if code == -signal.SIGSEGV:
        return Answer(error="MindSpore's compiler crashed (SIGSEGV) on this graph", trace=end)
    if code == -signal.SIGKILL:
        return Answer(error="the compilation was killed (by hand, or by the system for want of memory)", trace=end)
    return Answer(error=f"the compilation ended with exit code {code} and no answer", trace=end)
