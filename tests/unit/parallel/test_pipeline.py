"""The order of a pipeline's tasks: whoever sends meets whoever receives, and all work is done once."""

from itertools import product

import pytest

from mindcode.parallel.pipeline import Kind, Task, tasks

MEETINGS = {
    Kind.SEND: (1, Kind.RECEIVE),
    Kind.RECEIVE: (-1, Kind.SEND),
    Kind.RECEIVE_GRADIENT: (1, Kind.SEND_GRADIENT),
    Kind.SEND_GRADIENT: (-1, Kind.RECEIVE_GRADIENT),
}
"""For each message the other side: how many stages away, and what it does there."""


def run(stages: int, micro_batches: int) -> list[list[Task]]:
    """Let all stages work side by side; a message needs both sides. Return what each did, or fail when all wait."""
    due = [list(tasks(stage, stages, micro_batches)) for stage in range(stages)]
    done: list[list[Task]] = [[] for _ in range(stages)]
    while any(due):
        moved = False
        for stage in range(stages):
            if not due[stage]:
                continue
            kind, index = due[stage][0]
            partners = [stage]
            if kind in MEETINGS:
                away, other = MEETINGS[kind]
                if due[stage + away][:1] != [Task(other, index)]:
                    continue
                partners.append(stage + away)
            for partner in partners:
                done[partner].append(due[partner].pop(0))
            moved = True
        assert moved, f"all wait for each other: {[left[:1] for left in due]}"
    return done


@pytest.mark.parametrize(("stages", "micro_batches"), list(product([1, 2, 3, 4, 8], [1, 2, 3, 4, 9])))
def test_nobody_waits_for_ever_and_every_micro_batch_goes_through_every_stage(stages: int, micro_batches: int) -> None:
    for stage, work in enumerate(run(stages, micro_batches)):
        backward = [index for kind, index in work if kind is Kind.BACKWARD]
        forward = [index for kind, index in work if kind is Kind.FORWARD]
        assert backward == list(range(micro_batches))
        assert forward == (backward if stage < stages - 1 else []), "the last stage's backward pass has its forward one"


def test_few_activations_wait_for_their_backward_pass() -> None:
    for stage, work in enumerate(run(stages=4, micro_batches=16)):
        kept = most = 0
        for kind, _ in work:
            kept += (kind is Kind.FORWARD) - (kind is Kind.BACKWARD)
            most = max(most, kept)
        assert most <= 4 - stage
