"""Backends that do something more while answers come: write down the time or the generations so far, or stop."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mindcode.evaluation.runner.stopwatch import Stopwatch
from mindcode.evaluation.types import Answer, AnswerRequest, Backend, Sampling


class Timed:
    """Writes down how long the backend works."""

    def __init__(self, backend: Backend, timings: Path) -> None:
        self._backend, self._timings = backend, timings

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return self._backend.identity()

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield the answers as they come."""
        with Stopwatch(self._timings, "generate") as watch:
            for answer in self._backend.answers(requests, sampling):
                watch.lap()
                yield answer


class Until:
    """Asks for no further answer when `stop` says so."""

    def __init__(self, backend: Backend, stop: Callable[[], bool]) -> None:
        self._backend, self._stop = backend, stop

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return self._backend.identity()

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield the answers as they come, the last one when it is time to stop."""
        for answer in self._backend.answers(requests, sampling):
            yield answer
            if self._stop():
                return


class Saving:
    """Calls `save` when the answers to `every` further problems are complete, and stored."""

    def __init__(self, backend: Backend, every: int, save: Callable[[], None]) -> None:
        self._backend, self._every, self._save = backend, every, save

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return self._backend.identity()

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield the answers as they come; whoever asks for the next one has stored the one before."""
        wanted = list(requests)
        left: dict[str, int] = {}
        for request in wanted:
            left[request.task_id] = left.get(request.task_id, 0) + 1
        complete = 0
        for answer in self._backend.answers(wanted, sampling):
            yield answer
            left[answer.task_id] -= 1
            complete += left[answer.task_id] == 0
            if left[answer.task_id] == 0 and complete % self._every == 0:
                self._save()
