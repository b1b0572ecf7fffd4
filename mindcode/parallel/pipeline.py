"""Pipeline stages on processes: what a stage computes, in which order, and how activations get from one to the next.

    tasks(stage=0, stages=2, micro_batches=4)
    stage = Stage(model, processes.place.stage, plan)        # (x [T, D], input_ids [B, S]) -> x, or logits at the end

Each stage runs "one forward, one backward" (Narayanan et al. 2019, 2021): as many forward passes ahead as stages
follow, then a backward pass for every forward one, so that few activations are kept. A message is a sum over two
processes to which the receiver gives zeros; both must come to it, so the order in which a stage sends and receives
matters.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from mindspore import Tensor, nn

from mindcode.model.llama import LlamaForCausalLM
from mindcode.parallel.plan import EMBEDDING, Plan


class Kind(Enum):
    """What a stage does with a micro-batch."""

    RECEIVE = "receive activations from the stage before"
    FORWARD = "forward"
    SEND = "send activations to the stage after"
    RECEIVE_GRADIENT = "receive the gradient from the stage after"
    BACKWARD = "backward"
    SEND_GRADIENT = "send the gradient to the stage before"


class Task(NamedTuple):
    """One thing to do, for one micro-batch."""

    kind: Kind
    micro_batch: int


def tasks(stage: int, stages: int, micro_batches: int) -> Iterator[Task]:
    """Yield what `stage` does in one step, in order.

    The last stage has no forward pass of its own: its backward pass contains it.
    """
    ahead = min(stages - stage - 1, micro_batches)
    for micro_batch in range(ahead):
        yield from _forward(stage, stages, micro_batch)
        yield Task(Kind.SEND, micro_batch)
    for micro_batch in range(micro_batches):
        next_one = micro_batch + ahead
        if next_one < micro_batches:
            yield from _forward(stage, stages, next_one)
        if stage < stages - 1:
            # the stage after this one sends a gradient before it asks for more
            yield Task(Kind.RECEIVE_GRADIENT, micro_batch)
            if next_one < micro_batches:
                yield Task(Kind.SEND, next_one)
        yield Task(Kind.BACKWARD, micro_batch)
        if stage > 0:
            yield Task(Kind.SEND_GRADIENT, micro_batch)


def _forward(stage: int, stages: int, micro_batch: int) -> Iterator[Task]:
    if stage > 0:
        yield Task(Kind.RECEIVE, micro_batch)
    if stage < stages - 1:
        yield Task(Kind.FORWARD, micro_batch)


class Stage(nn.Cell):
    """(x [T, D], input_ids [B, S]) -> x [T, D] behind this stage's layers; the last stage returns logits [B, S, V].

    The first stage takes its x from the ids. What other stages hold is taken out of `model`.
    """

    def __init__(self, model: LlamaForCausalLM, stage: int, plan: Plan) -> None:
        super().__init__(auto_prefix=False)
        self.is_first, self.is_last = stage == 0, stage == plan.dims.pipeline_stage - 1
        names = [(p, p.name) for p in model.trainable_params()]
        body = model.model
        own = [layer for layer in body.layers if _stage_of(layer, plan) == stage]
        body.layers = nn.CellList(own, auto_prefix=False)
        if stage not in plan.stages_of(EMBEDDING):
            body.tok_embeddings = nn.Identity()
        if not self.is_last:
            body.norm_out = model.lm_head = nn.Identity()
        for parameter, name in names:
            parameter.name = name
        self.model = model

    def construct(self, x: Tensor, input_ids: Tensor) -> Tensor:
        body = self.model.model
        if self.is_first:
            x = body.tok_embeddings(input_ids)
        x = body.through_layers(x, input_ids)
        if self.is_last:
            x = self.model.logits(body.norm_out(x), input_ids)
        return x


def _stage_of(layer: nn.Cell, plan: Plan) -> int:
    return plan.stages_of(next(layer.get_parameters()).name)[0]
