"""In what order every stage works through the micro-batches: one forward, one backward (Narayanan et al. 2021).

    for turn in timeline(stages=4, micro_batches=8):
        turn.stage, turn.kind, turn.micro_batch, turn.start, turn.end

It is the order of MindSpore's PipelineCell: a stage goes as many forward passes ahead as stages follow it, and keeps
their activations. Time is counted in forward passes of a stage; a backward pass takes two.
"""

from typing import NamedTuple

FORWARD, BACKWARD = "forward", "backward"
DURATION = {FORWARD: 1, BACKWARD: 2}


class Turn(NamedTuple):
    """One pass of one stage over one micro-batch."""

    stage: int
    kind: str
    micro_batch: int
    start: int
    end: int


def order_of(stage: int, stages: int, micro_batches: int) -> list[tuple[str, int]]:
    """Return what a stage does, one after the other, as (kind, micro-batch)."""
    ahead = min(stages - stage - 1, micro_batches)
    order = [(FORWARD, index) for index in range(ahead)]
    for index in range(micro_batches - ahead):
        order += [(FORWARD, ahead + index), (BACKWARD, index)]
    return order + [(BACKWARD, index) for index in range(micro_batches - ahead, micro_batches)]


def timeline(stages: int, micro_batches: int) -> list[Turn]:
    """Return all passes of all stages, each as early as its stage is free and what it needs has arrived."""
    waiting = [order_of(stage, stages, micro_batches) for stage in range(stages)]
    ends: dict[tuple[int, str, int], int] = {}
    free, turns = [0] * stages, []
    while any(waiting):
        for stage, queue in enumerate(waiting):
            while queue:
                kind, index = queue[0]
                needed = _needs(stage, stages, kind, index)
                if needed is not None and needed not in ends:
                    break
                start = max(free[stage], ends[needed] if needed is not None else 0)
                queue.pop(0)
                free[stage] = ends[stage, kind, index] = start + DURATION[kind]
                turns.append(Turn(stage, kind, index, start, free[stage]))
    return turns


def _needs(stage: int, stages: int, kind: str, index: int) -> tuple[int, str, int] | None:
    """The pass whose result this one starts from."""
    if kind == FORWARD:
        return (stage - 1, FORWARD, index) if stage else None
    return (stage + 1, BACKWARD, index) if stage < stages - 1 else (stage, FORWARD, index)
