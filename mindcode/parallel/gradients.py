"""Gradients that several processes must add up, in few and large messages.

    sums = GradientSums((Bucketed(group, indices=(0, 3), factor=0.5), ...), shapes)
    gradients = sums(gradients)

All messages of a step form one chain: each waits for the one before it and the first for the whole backward pass, so
that processes cannot meet in different orders and wait for each other for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from mindspore import Tensor, nn, ops

from mindcode.parallel.collectives import Sum
from mindcode.runtime.distributed import Group

BUCKET = 1 << 20
"""Elements in a message that several gradients share; a message costs about as much as 50,000 elements."""


@dataclass(frozen=True)
class Addition:
    """Gradients, by their place in the list, that are added over a group and multiplied by a factor."""

    group: Group
    indices: tuple[int, ...]
    factor: float = 1.0


class _BucketSum(nn.Cell):
    """(gradients, what to wait for) -> the gradients of one message, added up."""

    def __init__(self, addition: Addition, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(auto_prefix=False)
        self.sum, self.factor, self.indices = Sum(addition.group), addition.factor, addition.indices
        self.shapes = tuple(shapes[index] for index in addition.indices)
        self.sizes = tuple(prod(shape) for shape in self.shapes)
        self.reshape, self.concat, self.scale, self.cast = ops.Reshape(), ops.Concat(), ops.Mul(), ops.Cast()

    def construct(self, gradients: tuple[Tensor, ...], before: Tensor) -> tuple[Tensor, ...]:
        flat: tuple[Tensor, ...] = ()
        for index in self.indices:
            flat += (self.reshape(gradients[index], (-1,)),)
        message = flat[0] if len(flat) == 1 else self.concat(flat)
        total = self.sum(ops.depend(message, before))
        if self.factor != 1.0:
            total = self.scale(total, self.cast(self.factor, total.dtype))
        if len(flat) == 1:
            return (self.reshape(total, self.shapes[0]),)
        return self._parts(total)

    def _parts(self, total: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = ()
        start = 0
        for shape, size in zip(self.shapes, self.sizes):  # noqa: B905 (the graph compiler knows no keywords of zip)
            parts += (self.reshape(total[start : start + size], shape),)
            start += size
        return parts


class GradientSums(nn.Cell):
    """gradients -> gradients, those that the additions name replaced by their sums; additions happen in order."""

    def __init__(self, additions: Sequence[Addition], shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(auto_prefix=False)
        buckets = [bucket for addition in additions if addition.group.size > 1 for bucket in _buckets(addition, shapes)]
        self.messages = nn.CellList([_BucketSum(bucket, shapes) for bucket in buckets], auto_prefix=False)
        self.places = tuple(_places(bucket, len(shapes)) for bucket in buckets)

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        before = gradients
        for message, places in zip(self.messages, self.places):  # noqa: B905
            summed = message(gradients, before)
            before = summed[0]
            merged: tuple[Tensor, ...] = ()
            for index in range(len(gradients)):
                merged += (gradients[index] if places[index] < 0 else summed[places[index]],)
            gradients = merged
        return gradients


def _places(bucket: Addition, count: int) -> tuple[int, ...]:
    """For each gradient its place in the message, or -1."""
    return tuple(bucket.indices.index(index) if index in bucket.indices else -1 for index in range(count))


def _buckets(addition: Addition, shapes: Sequence[tuple[int, ...]]) -> Iterator[Addition]:
    """Yield additions of at most BUCKET elements, or of one gradient."""
    indices: tuple[int, ...] = ()
    for index in addition.indices:
        if indices and sum(prod(shapes[i]) for i in (*indices, index)) > BUCKET:
            yield Addition(addition.group, indices, addition.factor)
            indices = ()
        indices += (index,)
    if indices:
        yield Addition(addition.group, indices, addition.factor)
