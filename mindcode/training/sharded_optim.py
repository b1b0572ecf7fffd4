"""AdamW whose state is shared out among data-parallel replicas (Rajbhandari et al. 2020, ZeRO stage 1).

    optimizer = ShardedAdamW(parameters, row_counts, data_group, lambda rows: AdamW(rows, config, rule))

Each replica has the moments of some rows of every parameter, updates these rows with the gradients that all replicas
have added up, and receives the other rows from the other replicas.
"""

from collections.abc import Callable, Sequence

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcode.parallel.collectives import Gather, OwnSlice
from mindcode.runtime.distributed import Group
from mindcode.training.optim import AdamW

OWN = "own_rows"


class ShardedAdamW(nn.Cell):
    """In the place of AdamW: (gradients of whole parameters, gradient scale, scalars, ok) -> ok."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        row_counts: Sequence[int],
        replicas: Group,
        adam: Callable[[Sequence[Parameter]], AdamW],
    ) -> None:
        """`row_counts`: how many rows of each parameter a replica has the state of; all of them where it is whole."""
        super().__init__(auto_prefix=False)
        self.parameters, self.index = ParameterTuple(parameters), replicas.index
        shared = [rows < parameter.shape[0] for rows, parameter in zip(row_counts, parameters, strict=True)]
        own = [self._own_rows(p, rows) for p, rows in zip(parameters, row_counts, strict=True)]
        self.adam = adam(own)
        for parameter, is_shared in zip(own, shared, strict=True):
            parameter.name = f"{OWN}.{parameter.name}" if is_shared else parameter.name
        self.first, self.can_skip = self.adam.first, self.adam.can_skip
        self.slices = nn.CellList([OwnSlice(replicas) if is_shared else nn.Identity() for is_shared in shared])
        self.own = ParameterTuple([p for p, is_shared in zip(own, shared, strict=True) if is_shared])
        self.whole = ParameterTuple([p for p, is_shared in zip(parameters, shared, strict=True) if is_shared])
        self.gather, self.assign = Gather(replicas), ops.Assign()

    @property
    def state(self) -> list[Parameter]:
        """What a checkpoint needs besides the parameters themselves: of this replica's rows."""
        return self.adam.state

    def refresh(self) -> None:
        """Follow the parameters, after they were set from outside."""
        for own, whole in zip(self.own, self.whole, strict=True):
            own.set_data(self._rows(whole, own.shape[0]))

    def refresh_copies(self) -> None:
        """Follow the parameters, after they were loaded without an optimizer's state."""
        self.refresh()
        self.adam.refresh_copies()

    def construct(self, gradients: tuple[Tensor, ...], scale: Tensor, scalars: Tensor, ok: Tensor) -> Tensor:
        own: tuple[Tensor, ...] = ()
        for cut, gradient in zip(self.slices, gradients):  # noqa: B905 (the graph compiler knows no keywords of zip)
            own += (cut(gradient),)
        done = self.adam(own, scale, scalars, ok)
        for rows, whole in zip(self.own, self.whole):  # noqa: B905
            # one message after the other, the first after the update: processes must meet in the same order
            done = self.assign(whole, self.gather(ops.depend(rows, done)))
        return ops.depend(ok, done)

    def _own_rows(self, parameter: Parameter, rows: int) -> Parameter:
        if rows == parameter.shape[0]:
            return parameter
        return Parameter(self._rows(parameter, rows), name=parameter.name)

    def _rows(self, parameter: Parameter, rows: int) -> Tensor:
        return Tensor(parameter.asnumpy()[self.index * rows : (self.index + 1) * rows], parameter.dtype)


Optimizer = AdamW | ShardedAdamW
