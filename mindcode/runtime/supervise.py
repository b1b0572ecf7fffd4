"""Runs the local processes of a job until all workers are done, one has failed, or somebody stops it.

    outcome = supervise(cluster, command, Path("output/msrun_log"), stop_seconds=30, say=print)

`msrun` is not used: without --join it never reports a failure; with it, it stops the other workers when one fails but
then waits half a minute for the scheduler, ends with exit code 1 always, and on SIGTERM leaves everything running.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from mindcode.runtime.cluster import Cluster, SchedulerWatch
from mindcode.runtime.process_log import LogFollower, last_words
from mindcode.runtime.processes import Child, stop

SCHEDULER_LOG, WORKER_LOG = "scheduler.log", "worker_{rank}.log"
_SCHEDULER = (sys.executable, "-m", "mindcode.runtime.scheduler")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS, _SETTLE_SECONDS, _GRACE_SECONDS = 0.1, 0.3, 2.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    exit_code: int
    """0, the failed process's own code, or 128 + the number of the signal that ended it or the job."""
    message: str
    """One line, and after a failure the last lines of the process below it."""


@dataclass(frozen=True)
class _Job:
    """The processes of a job on this machine."""

    cluster: Cluster
    scheduler: tuple[Child, ...]
    """One on the node with rank 0, none on the others."""
    workers: tuple[Child, ...]

    @property
    def culprits(self) -> list[Child]:
        """Processes whose end is the job's end: failed workers, or else a failed scheduler that workers need."""
        failed = [worker for worker in self.workers if worker.failed]
        needed = self.scheduler if self.cluster.worker_num > 1 else ()
        return failed or [scheduler for scheduler in needed if scheduler.failed]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to wait for: the workers here, and through the scheduler those of other nodes."""
        awaited = self.workers if self.cluster.single_node else self.workers + self.scheduler
        return all(child.exit_code() == 0 for child in awaited)


def supervise(
    cluster: Cluster, command: Sequence[str], log_dir: Path, stop_seconds: float, say: Callable[[str], None]
) -> Outcome:
    """Start scheduler and workers with `command`, hand the first worker's lines to `say`, and return how it ended.

    SIGINT, SIGTERM and SIGHUP go on to the workers, which have `stop_seconds` to end; a second one ends them at once.
    When this returns or raises, no process of the job is left on this machine.
    """
    children: list[Child] = []
    with _signals() as received:
        try:
            job = _start(cluster, command, log_dir, children)
            tell = partial(_tell, LogFollower(job.workers[0].log), say)
            outcome = _watch(job, received, tell)

            def hurried() -> bool:
                tell()
                return len(received) > 1

            if received:
                say(f"mindcode launch: the workers have {stop_seconds:.0f} s to save; another signal ends them at once")
                stop(job.workers, received[0], stop_seconds, hurried)
                tell()
        finally:
            stop([child for child in children if child.log.name != SCHEDULER_LOG], signal.SIGTERM, _GRACE_SECONDS)
            stop(children, signal.SIGKILL, 0.0)
    return outcome


def _start(cluster: Cluster, command: Sequence[str], log_dir: Path, children: list[Child]) -> _Job:
    """Start everything; each process is in `children` as soon as it exists."""
    if cluster.has_scheduler:
        children.append(Child("the scheduler", _SCHEDULER, cluster.scheduler_environment(), log_dir / SCHEDULER_LOG))
    scheduler = tuple(children)
    for local_rank, rank in enumerate(cluster.ranks):
        environment = {**cluster.worker_environment(local_rank), "PYTHONUNBUFFERED": "1"}
        children.append(Child(f"rank {rank}", command, environment, log_dir / WORKER_LOG.format(rank=rank)))
    return _Job(cluster, scheduler, tuple(children[len(scheduler) :]))


def _watch(job: _Job, received: Sequence[int], tell: Callable[[], object]) -> Outcome:
    """Look at the processes again and again until it is known how the job ends."""
    started = time.monotonic()
    elsewhere = None if job.cluster.has_scheduler else SchedulerWatch(job.cluster)
    while True:
        outcome = _outcome(job, received, elsewhere, time.monotonic() - started)
        tell()
        if outcome:
            return outcome
        time.sleep(_POLL_SECONDS)


def _tell(follower: LogFollower, say: Callable[[str], None]) -> None:
    for line in follower.lines():
        say(line)


def _outcome(job: _Job, received: Sequence[int], elsewhere: SchedulerWatch | None, seconds: float) -> Outcome | None:
    if received:
        return Outcome(128 + received[0], f"stopped by {signal.Signals(received[0]).name} after {seconds:.0f} s")
    if job.culprits:
        first = job.culprits
        time.sleep(_SETTLE_SECONDS)  # several that fail for one reason are named together
        return _failure([*first, *(child for child in job.culprits if child not in first)], seconds)
    if job.finished:
        return Outcome(0, f"all workers ended well after {seconds:.0f} s")
    if elsewhere and elsewhere.gone(seconds):
        place = f"{job.cluster.master_addr}:{job.cluster.master_port}"
        return Outcome(1, f"the scheduler at {place} is gone: see what the node with rank 0 says; all workers stopped")
    return None


def _failure(failed: Sequence[Child], seconds: float) -> Outcome:
    first, others = failed[0], [child.name for child in failed[1:]]
    code = first.exit_code() or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    how += " (by hand, or by the system for want of memory)" if code == -signal.SIGKILL else ""
    line = f"{first.name} {how} after {seconds:.0f} s{', ' + ', '.join(others) + ' too' if others else ''}"
    end = [f"    {line}" for line in last_words(first.log)]
    return Outcome(128 - code if code < 0 else code, "\n".join([f"{line}; the end of {first.log}:", *end]))


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield the list to which signals are added while the block runs; signals that were ignored stay so (nohup)."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in heard}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
