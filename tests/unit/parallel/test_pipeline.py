"""The order of a stage's tasks: simulated with messages for which both sides must meet."""

from collections import Counter
from itertools import product

import pytest

from mindcode.parallel.pipeline import Kind, Task, tasks

MEETS = {
    Kind.SEND: (1, Kind.RECEIVE),
    Kind.RECEIVE: (-1, Kind.SEND),
    Kind.SEND_GRADIENT: (-1, Kind.RECEIVE_GRADIENT),
    Kind.RECEIVE_GRADIENT: (1, Kind.SEND_GRADIENT),
}
"""Which stage, counted from one's own, does what when a message passes."""
SIZES = list(product([1, 2, 3, 4, 5, 8], [1, 2, 3, 4, 7, 12]))


def run(stages: int, micro_batches: int) -> list[tuple[int, Task]]:
    """Everything that happens, in one possible order; fails when all stages wait."""
    todo = [list(tasks(stage, stages, micro_batches)) for stage in range(stages)]
    done: list[tuple[int, Task]] = []
    while any(todo):
        before = len(done)
        for stage in range(stages):
            while todo[stage] and todo[stage][0].kind not in MEETS:
                done.append((stage, todo[stage].pop(0)))
            if not todo[stage]:
                continue
            kind, micro_batch = todo[stage][0]
            step, answer = MEETS[kind]
            other = stage + step
            assert 0 <= other < stages, f"stage {stage} has nobody for {kind}"
            if todo[other] and todo[other][0] == Task(answer, micro_batch):
                done += [(stage, todo[stage].pop(0)), (other, todo[other].pop(0))]
        assert len(done) > before, f"all wait: {[left[:1] for left in todo]}"
    return done


@pytest.mark.parametrize(("stages", "micro_batches"), SIZES)
def test_messages_meet_and_every_micro_batch_passes_once(stages: int, micro_batches: int) -> None:
    counts = Counter((stage, task.kind) for stage, task in run(stages, micro_batches))
    for stage in range(stages):
        is_first, is_last = stage == 0, stage == stages - 1
        assert counts[stage, Kind.BACKWARD] == micro_batches
        assert counts[stage, Kind.FORWARD] == (0 if is_last else micro_batches)
        assert counts[stage, Kind.SEND] == counts[stage, Kind.RECEIVE_GRADIENT] == (0 if is_last else micro_batches)
        assert counts[stage, Kind.RECEIVE] == counts[stage, Kind.SEND_GRADIENT] == (0 if is_first else micro_batches)


@pytest.mark.parametrize(("stages", "micro_batches"), SIZES)
def test_a_micro_batch_goes_down_and_comes_back(stages: int, micro_batches: int) -> None:
    done = run(stages, micro_batches)
    for micro_batch in range(micro_batches):
        passes = [(s, t.kind) for s, t in done if t.micro_batch == micro_batch and t.kind not in MEETS]
        down = [(stage, Kind.FORWARD) for stage in range(stages - 1)]
        assert passes == down + [(stage, Kind.BACKWARD) for stage in reversed(range(stages))]
        on_stage = [[t.kind for s, t in done if s == stage and t.micro_batch == micro_batch] for stage in range(stages)]
        for kinds in on_stage:
            assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(("stages", "micro_batches"), SIZES)
def test_a_stage_keeps_no_more_activations_than_stages_follow(stages: int, micro_batches: int) -> None:
    for stage in range(stages):
        kept = most = 0
        for kind, _ in tasks(stage, stages, micro_batches):
            kept += (kind is Kind.FORWARD) - (kind is Kind.BACKWARD and stage < stages - 1)
            most = max(most, kept)
        assert kept == 0
        assert most <= min(stages - stage, micro_batches)


def test_the_steady_state_of_two_stages() -> None:
    first = [(task.kind, task.micro_batch) for task in tasks(0, 2, 2)]
    assert first == [
        (Kind.FORWARD, 0),
        (Kind.SEND, 0),
        (Kind.FORWARD, 1),
        (Kind.RECEIVE_GRADIENT, 0),
        (Kind.SEND, 1),
        (Kind.BACKWARD, 0),
        (Kind.RECEIVE_GRADIENT, 1),
        (Kind.BACKWARD, 1),
    ]
