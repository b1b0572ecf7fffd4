"""The plan, carried out on CPU processes: the single-device model is cut in place and its leaves learn to communicate.

    split_model(model, plan, rank, tensor_group, sequence_parallel=False)

Parameters are read whole, cut to this process' block, and keep their names; those that have no values yet only get the
shape of the block. What a role means:

    norm     its output enters the split layers: copied, or gathered from slices of the sequence
    column   cut by output, nothing else
    row      cut by input; its output leaves the split layers: reduced, or scattered to slices of the sequence
    vocab    cut by vocabulary; an embedding's output leaves like that of a row, a head has only logits of its part
"""

import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer

from mindcode.model.leaves import Embedding, Linear
from mindcode.model.norm import RMSNorm
from mindcode.parallel.collectives import Copy, GatherTokens, Reduce, ScatterTokens
from mindcode.parallel.plan import Placement, Plan, Role, check_coverage, rule_for
from mindcode.parallel.vocabulary import VocabParallelGather
from mindcode.runtime.distributed import Group


class Followed(nn.Cell):
    """Two arguments through `first`, the result through `then`: a product or a norm, and its communication."""

    def __init__(self, first: nn.Cell, then: nn.Cell) -> None:
        super().__init__()
        self.first, self.then = first, then

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.then(self.first(x, weight))


def split_model(model: nn.Cell, plan: Plan, rank: int, tensor: Group, sequence_parallel: bool) -> None:
    """Cut the parameters of `model` to the blocks of `rank`, and put communication into the group `tensor`.

    Raises UserError for a parameter that the plan does not cover or cannot divide.
    """
    check_coverage(parameter.name for parameter in model.trainable_params())
    if tensor.size == 1:
        return
    enter, leave = (GatherTokens, ScatterTokens) if sequence_parallel else (Copy, Reduce)
    for parameter in model.trainable_params():
        cell = _owner(model, parameter)
        _cut(cell, parameter, plan.placement(parameter.name, tuple(parameter.shape), rank))
        role = rule_for(parameter.name).role
        if isinstance(cell, RMSNorm):
            cell.norm = Followed(cell.norm, enter(tensor))
        elif isinstance(cell, Embedding):
            cell.gather = VocabParallelGather(cell.embedding_weight.shape[0], tensor, leave(tensor))
        elif isinstance(cell, Linear) and role is Role.ROW:
            cell.matmul = Followed(cell.matmul, leave(tensor))


def block_of(array: np.ndarray, placement: Placement) -> np.ndarray:
    """Return the block of a whole tensor, as a contiguous array."""
    ends = (start + size for start, size in zip(placement.start, placement.shape, strict=True))
    return np.ascontiguousarray(array[tuple(map(slice, placement.start, ends))])


def _owner(model: nn.Cell, parameter: Parameter) -> nn.Cell:
    """Return the leaf that holds a parameter."""
    for cell in model.cells():
        if any(own is parameter for own in cell.get_parameters(expand=False)):
            return cell
        if any(own is parameter for own in cell.get_parameters()):
            return _owner(cell, parameter)
    raise KeyError(parameter.name)


def _cut(cell: nn.Cell, parameter: Parameter, placement: Placement) -> None:
    attribute = parameter.name.rpartition(".")[2]
    if parameter.has_init:  # its values are still to come
        block = initializer("zeros", placement.shape, parameter.dtype)
    else:
        block = Tensor(block_of(parameter.asnumpy(), placement))
    setattr(cell, attribute, Parameter(block, name=parameter.name))
