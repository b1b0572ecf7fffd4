"""Communication inside the network, forward and backward, for CPUs: their only collective in any group is a sum.

    Copy            x -> x                      backward: summed
    Reduce          partial sums -> sum         backward: unchanged
    GatherTokens    slices -> all tokens        backward: summed, own slice
    ScatterTokens   partial sums -> own slice   backward: slices -> all tokens

Copy and Reduce enclose the split layers of Megatron-LM (Shoeybi et al. 2019), GatherTokens and ScatterTokens those of
its sequence parallelism (Korthikanti et al. 2022). A gather is a sum of slices that are padded with zeros, a scatter a
sum of which each process keeps its slice. Slices are equal parts of the first axis, in the order of the group.
"""

from mindspore import Tensor, nn, ops

from mindcode.runtime.distributed import Group, Sum


class OwnSlice(nn.Cell):
    """All rows -> this process' part of them."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.split, self.index = ops.Split(axis=0, output_num=group.size), group.index

    def construct(self, x: Tensor) -> Tensor:
        return self.split(x)[self.index]


class Gather(nn.Cell):
    """This process' rows -> all rows, without a gradient.

    The zeros of the others' rows are computed, as `x < x`: ZerosLike would become a constant of the graph, which takes
    its memory for good.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.sum = Sum(group)
        self.before, self.after = group.index, group.size - group.index - 1
        self.less, self.cast, self.concat = ops.Less(), ops.Cast(), ops.Concat(axis=0)

    def construct(self, x: Tensor) -> Tensor:
        zeros = self.cast(self.less(x, x), x.dtype)
        return self.sum(self.concat((zeros,) * self.before + (x,) + (zeros,) * self.after))


class Copy(nn.Cell):
    """In front of layers of which every process holds some of the outputs."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.sum = Sum(group)

    def construct(self, x: Tensor) -> Tensor:
        return x

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.sum(dout),)


class Reduce(nn.Cell):
    """Behind a layer of which every process computes a summand."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.sum = Sum(group)

    def construct(self, x: Tensor) -> Tensor:
        return self.sum(x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (dout,)


class GatherTokens(nn.Cell):
    """Copy, from slices of the sequence: [T/n, D] -> [T, D]."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.gather, self.sum, self.own = Gather(group), Sum(group), OwnSlice(group)

    def construct(self, x: Tensor) -> Tensor:
        return self.gather(x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.own(self.sum(dout)),)


class ScatterTokens(nn.Cell):
    """Reduce, to slices of the sequence: [T, D] -> [T/n, D]."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.gather, self.sum, self.own = Gather(group), Sum(group), OwnSlice(group)

    def construct(self, x: Tensor) -> Tensor:
        return self.own(self.sum(x))

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.gather(dout),)
