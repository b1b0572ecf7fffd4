"""One forward, one backward: the order of every stage, and the time that it takes."""

import pytest

from mindcode.planner.schedule import BACKWARD, FORWARD, order_of, timeline


def test_the_order_of_two_stages() -> None:
    f, b = FORWARD, BACKWARD
    assert order_of(0, stages=2, micro_batches=3) == [(f, 0), (f, 1), (b, 0), (f, 2), (b, 1), (b, 2)]
    assert order_of(1, stages=2, micro_batches=3) == [(f, 0), (b, 0), (f, 1), (b, 1), (f, 2), (b, 2)]


@pytest.mark.parametrize(("stages", "micro_batches"), [(1, 3), (2, 2), (4, 4), (4, 9), (8, 16)])
def test_the_bubble_is_that_of_the_formula(stages: int, micro_batches: int) -> None:
    turns = timeline(stages, micro_batches)
    assert len(turns) == 2 * stages * micro_batches
    assert max(turn.end for turn in turns) == 3 * (micro_batches + stages - 1)


@pytest.mark.parametrize("stages", [2, 4])
def test_nothing_starts_before_what_it_needs(stages: int) -> None:
    turns = {(turn.stage, turn.kind, turn.micro_batch): turn for turn in timeline(stages, 6)}
    for (stage, kind, index), turn in turns.items():
        if kind == FORWARD and stage:
            assert turn.start >= turns[stage - 1, FORWARD, index].end
        if kind == BACKWARD:
            before = turns[stage + 1, BACKWARD, index] if stage < stages - 1 else turns[stage, FORWARD, index]
            assert turn.start >= before.end


@pytest.mark.parametrize("stage", range(4))
def test_a_stage_keeps_one_micro_batch_more_than_stages_follow(stage: int) -> None:
    kept = most = 0
    for kind, _ in order_of(stage, stages=4, micro_batches=12):
        kept += 1 if kind == FORWARD else -1
        most = max(most, kept)
    assert most == 4 - stage
