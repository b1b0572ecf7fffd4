"""Work spread over processes, results in the order of the tasks, a bounded number of tasks on the way.

Task k goes to process k mod n, so the outcome does not depend on timing. Processes end with their parent, however it
ends: a thread in each reads its pipe and sees it close.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from mindcode.utils.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
Build = Callable[[], Callable[[Task], Result]]
_AHEAD = 2


def ordered_map(build: Build[Task, Result], tasks: Iterable[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Yield each task with its result, in order.

    `build` makes the function that does the work, once in every process; it must be picklable where processes are
    spawned. An exception in it or in the work is raised here. With one worker everything happens in this process.
    """
    if workers == 1:
        work = build()
        for task in tasks:
            yield task, work(task)
        return
    pool = _Pool(build, workers)
    try:
        waiting: deque[Task] = deque()
        received = 0
        for sent, task in enumerate(tasks):
            pool.send(sent % workers, task)
            waiting.append(task)
            if len(waiting) == workers * _AHEAD:
                yield waiting.popleft(), pool.receive(received % workers)
                received += 1
        while waiting:
            yield waiting.popleft(), pool.receive(received % workers)
            received += 1
    finally:
        pool.close()


class _Pool(Generic[Task, Result]):
    """Processes, each at the other end of a pipe."""

    def __init__(self, build: Build[Task, Result], workers: int) -> None:
        self._connections: list[Connection] = []
        self._processes = []
        context = multiprocessing.get_context()
        for _ in range(workers):
            ours, theirs = context.Pipe()
            self._connections.append(ours)
            process = context.Process(target=_serve, args=(build, theirs, tuple(self._connections)), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)

    def send(self, worker: int, task: Task) -> None:
        try:
            self._connections[worker].send(task)
        except (BrokenPipeError, ConnectionResetError):
            while True:  # the worker has ended: read what it had done, up to the reason
                self.receive(worker)

    def receive(self, worker: int) -> Result:
        """The next result of a worker, or the exception that it ended with."""
        try:
            result: Result | BaseException = self._connections[worker].recv()
        except (EOFError, ConnectionResetError) as error:
            self._processes[worker].join()
            code = self._processes[worker].exitcode
            raise UserError(
                f"a worker process died (exit code {code}); out of memory? try fewer --num_workers"
            ) from error
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()


def _serve(build: Build[Task, Result], connection: Connection, inherited: tuple[Connection, ...]) -> None:
    """Answer tasks until the parent closes the pipe. The parent's ends that a fork copied here would hide that."""
    for copy in inherited:
        copy.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_feed, args=(connection, tasks), daemon=True).start()
    try:
        work = build()
        while True:
            connection.send(work(tasks.get()))
    except BrokenPipeError:
        return
    except Exception as error:
        connection.send(error)


def _feed(connection: Connection, tasks: "queue.SimpleQueue[Task]") -> None:
    """Keep the pipe empty, so that the parent never waits to send; end the process when the parent is gone."""
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)
