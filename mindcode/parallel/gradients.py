"""Gradients that several processes must add up, in few and large messages.

    sums = GradientSums((Addition(group, indices=(0, 3)), ...), shapes)
    gradients = sums(gradients)

All messages of a step form one chain: each waits for the one before it and the first for the whole backward pass, so
that processes cannot meet in different orders and wait for each other for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from mindspore import Tensor, nn, ops

from mindcode.runtime.distributed import Group, Sum

BUCKET = 1 << 20
"""Elements in a message that several gradients share; a message costs about as much as 50,000 elements."""


@dataclass(frozen=True)
class Addition:
    """Gradients, by their place in the list, that are added over a group."""

    group: Group
    indices: tuple[int, ...]


class Take(nn.Cell):
    """(tensors) -> those at the given places.

    Mapped, not looped over: the graph compiler nests the rounds of a loop, and a network has hundreds of gradients.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__(auto_prefix=False)
        self.indices = tuple(indices)
        self.map, self.partial = ops.HyperMap(), ops.Partial()

    def construct(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return self.map(self.partial(self._one, tensors), self.indices)

    def _one(self, tensors: tuple[Tensor, ...], index: int) -> Tensor:
        return tensors[index]


class _Message(nn.Cell):
    """(gradients, what to wait for) -> some of the gradients, added up in one message."""

    def __init__(self, addition: Addition, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(auto_prefix=False)
        self.take, self.sum = Take(addition.indices), Sum(addition.group)
        self.sizes = tuple(prod(shapes[index]) for index in addition.indices)
        self.map, self.reshape, self.concat = ops.HyperMap(), ops.Reshape(), ops.Concat()

    def construct(self, gradients: tuple[Tensor, ...], before: Tensor) -> tuple[Tensor, ...]:
        own = self.take(gradients)
        if len(own) == 1:
            return (self.sum(ops.depend(own[0], before)),)
        total = self.sum(ops.depend(self.concat(self.map(self._flat, own)), before))
        return self.map(self._like, ops.split(total, self.sizes), own)

    def _flat(self, gradient: Tensor) -> Tensor:
        return self.reshape(gradient, (-1,))

    def _like(self, part: Tensor, gradient: Tensor) -> Tensor:
        return self.reshape(part, gradient.shape)


class _Added(nn.Cell):
    """gradients -> gradients, those of one addition replaced by their sums."""

    def __init__(self, addition: Addition, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(auto_prefix=False)
        buckets = list(_buckets(addition, shapes))
        self.messages = nn.CellList([_Message(bucket, shapes) for bucket in buckets], auto_prefix=False)
        places = {index: (m, n) for m, bucket in enumerate(buckets) for n, index in enumerate(bucket.indices)}
        self.message_of = tuple(places.get(index, (-1, -1))[0] for index in range(len(shapes)))
        self.place_in_it = tuple(places.get(index, (-1, -1))[1] for index in range(len(shapes)))
        self.map, self.partial = ops.HyperMap(), ops.Partial()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        before = gradients
        sums: tuple[tuple[Tensor, ...], ...] = ()
        for message in self.messages:
            parts = message(gradients, before)
            sums += (parts,)
            before = parts[0]
        return self.map(self.partial(self._choose, sums), gradients, self.message_of, self.place_in_it)

    def _choose(self, sums: tuple[tuple[Tensor, ...], ...], gradient: Tensor, message: int, place: int) -> Tensor:
        return gradient if message < 0 else sums[message][place]


class GradientSums(nn.Cell):
    """gradients -> gradients, those that the additions name replaced by their sums; additions happen in order."""

    def __init__(self, additions: Sequence[Addition], shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(auto_prefix=False)
        added = [_Added(addition, shapes) for addition in additions if addition.group.size > 1]
        self.additions = nn.CellList(added, auto_prefix=False)

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for addition in self.additions:
            gradients = addition(gradients)
        return gradients


def _buckets(addition: Addition, shapes: Sequence[tuple[int, ...]]) -> Iterator[Addition]:
    """Yield additions of at most BUCKET elements, or of one gradient."""
    indices: tuple[int, ...] = ()
    for index in addition.indices:
        if indices and sum(prod(shapes[i]) for i in (*indices, index)) > BUCKET:
            yield Addition(addition.group, indices)
            indices = ()
        indices += (index,)
    if indices:
        yield Addition(addition.group, indices)
