"""Many samples at once: one judge per core, each in a process of its own.

Equal programs run once. A sample that exceeded a time limit, or whose judge died, runs again alone before its verdict
counts, with more patience on a busy machine, so that this is not mistaken for a slow program.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from mindcode.evaluation.execution.judge import ERROR, TIMED_OUT, Judge
from mindcode.evaluation.execution.judges import JUDGES
from mindcode.evaluation.execution.limits import Limits, end_with_parent, hide_memory
from mindcode.evaluation.execution.protections import protections
from mindcode.evaluation.types import Problem, Sample, Verdict

_JUDGE_DIED = "failed: the judging process died"
_MOST_PATIENCE = 10.0


def judge_samples(
    problems: Mapping[str, Problem], samples: Sequence[Sample], limits: Limits, workers: int | None = None
) -> Iterator[tuple[int, Verdict]]:
    """Yield (index of the sample, verdict) in order of finishing; there is at most one worker per core.

    Raises UserError when nothing can be executed here.
    """
    protections()
    same: dict[Sample, list[int]] = {}
    for index, sample in enumerate(samples):
        same.setdefault(sample, []).append(index)
    cores = len(os.sched_getaffinity(0))
    workers = min(workers or cores, cores)
    doubtful = []
    for sample, verdict in _verdicts(problems, list(same), limits, workers):
        if verdict.result == _JUDGE_DIED or verdict.kind == TIMED_OUT:
            doubtful.append(sample)
        else:
            yield from ((index, verdict) for index in same[sample])
    crowd = os.getloadavg()[0] / cores
    patient = replace(limits, patience=min(max(1.0, crowd), _MOST_PATIENCE))
    for sample, verdict in _verdicts(problems, doubtful, patient, workers=1):
        yield from ((index, verdict) for index in same[sample])


def _verdicts(
    problems: Mapping[str, Problem], samples: Sequence[Sample], limits: Limits, workers: int
) -> Iterator[tuple[Sample, Verdict]]:
    """Yield each sample with its verdict, or with _JUDGE_DIED, which may have to do with the sample."""
    waiting = list(reversed(samples))
    busy: dict[Connection, tuple[_Worker, Sample]] = {}
    idle = [_Worker(problems, limits) for _ in range(min(workers, len(samples)))]
    try:
        while waiting or busy:
            while waiting and idle:
                worker, sample = idle.pop(), waiting.pop()
                worker.connection.send(sample)
                busy[worker.connection] = (worker, sample)
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                worker, sample = busy.pop(connection)
                verdict = worker.result()
                idle.append(worker if verdict else _Worker(problems, limits))
                yield sample, verdict or Verdict(sample.task_id, False, _JUDGE_DIED, kind=ERROR)
    finally:
        for worker, _ in busy.values():
            worker.kill()
        for worker in idle:
            worker.close()


class _Worker:
    """A judging process and the connection to it."""

    def __init__(self, problems: Mapping[str, Problem], limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, dict(problems), limits), daemon=True)
        self._process.start()
        theirs.close()

    def result(self) -> Verdict | None:
        """Return what the process found out, or None when it is dead."""
        try:
            verdict = self.connection.recv()
        except (EOFError, OSError):
            self.close()
            return None
        assert isinstance(verdict, Verdict)
        return verdict

    def kill(self) -> None:
        """End the process in the middle of a sample."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Let the process end and wait for it."""
        self.connection.close()
        self._process.join()


def _work(connection: Connection, problems: Mapping[str, Problem], limits: Limits) -> None:
    """Judge what arrives until the connection closes, with one judge for each language that occurs."""
    end_with_parent()
    hide_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    judges: dict[str, Judge] = {}
    try:
        while True:
            sample = connection.recv()
            problem = problems[sample.task_id]
            if problem.language not in judges:
                judges[problem.language] = JUDGES[problem.language](limits)
            connection.send(judges[problem.language].try_sample(problem, sample.source))
    except (EOFError, BrokenPipeError):
        return
    finally:
        for judge in judges.values():
            judge.close()
