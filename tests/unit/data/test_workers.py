"""Work in several processes: in order, bounded, and ended with whoever asked for it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mindcode.data.workers import ordered_map
from mindcode.utils.errors import UserError


def _square() -> Callable[[int], int]:
    return lambda task: task * task


def _large() -> Callable[[bytes], bytes]:
    return lambda task: task * 2


def _fails_at(bad: int) -> Callable[[int], int]:
    def work(task: int) -> int:
        if task == bad:
            raise UserError(f"task {task} is bad")
        return task

    return work


def _dies() -> Callable[[int], int]:
    def work(task: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return task

    return work


def _cannot_start() -> Callable[[int], int]:
    raise UserError("no tokenizer")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    assert list(ordered_map(_square, range(40), workers)) == [(task, task * task) for task in range(40)]


def test_tasks_are_not_read_far_ahead() -> None:
    read = 0

    def tasks() -> Iterator[int]:
        nonlocal read
        for task in range(100):
            read = task
            yield task

    for task, _ in ordered_map(_square, tasks(), 2):
        assert read <= task + 4


def test_large_tasks_and_results_do_not_block_each_other() -> None:
    tasks = [bytes([number]) * (4 << 20) for number in range(8)]
    assert all(result == task * 2 for task, result in ordered_map(_large, tasks, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_the_work_is_raised_here(workers: int) -> None:
    results = ordered_map(partial(_fails_at, 5), range(40), workers)
    assert [next(results)[1] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match="task 5 is bad"):
        next(results)


def test_an_error_at_the_start_is_raised_here() -> None:
    with pytest.raises(UserError, match="no tokenizer"):
        list(ordered_map(_cannot_start, range(40), 2))


def test_a_process_that_is_killed_is_reported() -> None:
    with pytest.raises(UserError, match=r"a worker process died \(exit code -9\)"):
        list(ordered_map(_dies, range(40), 2))


def test_stopping_early_ends_the_processes() -> None:
    before = set(multiprocessing.active_children())
    results = ordered_map(_square, range(1000), 2)
    next(results)
    assert len(set(multiprocessing.active_children()) - before) == 2
    results.close()  # type: ignore[attr-defined]
    assert set(multiprocessing.active_children()) == before
