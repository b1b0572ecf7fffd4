"""How MindSpore describes the split of a parameter: a matrix of devices, and which dimension of it cuts which axis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mindcode.checkpoint.placements import weight_of
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape, rule_for
from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class TensorLayout:
    """How one parameter lies on the devices of its stage."""

    dev_matrix: Shape
    tensor_map: tuple[Shape, ...]
    """For every axis the dimensions of dev_matrix, from the right, that split it, outermost first."""
    local_shape: Shape = ()
    state_step: int = 0
    state_size: int = 0

    @property
    def devices(self) -> int:
        """Devices of the stage."""
        return prod(self.dev_matrix)

    @property
    def parts(self) -> Shape:
        """Number of parts of every axis, without the further split of the first."""
        return tuple(prod(self.dev_matrix[-1 - dim] for dim in dims) for dims in self.tensor_map)

    @property
    def state_parts(self) -> int:
        """Parts that the first axis of each part is cut into once more."""
        rest = self.devices // prod(self.parts)
        return rest if self.state_size < 0 else max(1, self.state_size)

    def global_shape(self, local: Shape) -> Shape:
        """Return the shape of the whole tensor of which a device holds `local`."""
        sizes = [size * parts for size, parts in zip(local, self.parts, strict=True)]
        return (sizes[0] * self.state_parts, *sizes[1:])

    def placement(self, shape: Shape, device: int) -> Placement | None:
        """Return the block of a tensor on a device, counted within the stage; None when the axes do not divide."""
        sizes = [size // parts for size, parts in zip(shape, self.parts, strict=True)]
        if self.global_shape((sizes[0] // self.state_parts, *sizes[1:])) != shape:
            return None
        starts = [index * size for index, size in zip(self._indices(device), sizes, strict=True)]
        rows = sizes[0] // self.state_parts
        starts[0] += device // max(1, self.state_step) % self.state_parts * rows
        return Placement(shape, tuple(starts), (rows, *sizes[1:]))

    def _indices(self, device: int) -> Iterator[int]:
        """Which part of every axis a device has."""
        coordinates = []
        for size in reversed(self.dev_matrix):
            device, coordinate = divmod(device, size)
            coordinates.append(coordinate)
        for dims in self.tensor_map:
            index = 0
            for dim in dims:
                index = index * self.dev_matrix[-1 - dim] + coordinates[dim]
            yield index


@dataclass(frozen=True)
class Strategy:
    """The layouts of all stages."""

    path: Path
    stages: Mapping[int, Mapping[str, TensorLayout]]

    @property
    def stage_devices(self) -> int:
        """Devices of one stage."""
        return next(layout.devices for layouts in self.stages.values() for layout in layouts.values())

    @property
    def dims(self) -> ParallelDims:
        """The degrees; what splits no tensor counts as data parallel."""
        parts = max(prod(layout.parts) for layouts in self.stages.values() for layout in layouts.values())
        return ParallelDims(self.stage_devices // parts, parts, len(self.stages))

    def placements(self, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
        """Return the block of every tensor that `rank` holds; what no stage knows is on every rank, whole.

        Raises UserError for a tensor that cannot be divided so.
        """
        stage, device = divmod(rank, self.stage_devices)
        known = {name for layouts in self.stages.values() for name in layouts}
        found = {}
        for name, shape in shapes.items():
            layout = self.stages[stage].get(name)
            if layout is not None:
                found[name] = self._placement(name, layout, shape, device)
            elif name not in known:
                found[name] = Placement(shape, (0,) * len(shape), shape)
        return found

    def _placement(self, name: str, layout: TensorLayout, shape: Shape, device: int) -> Placement:
        placement = layout.placement(shape, device) if len(layout.tensor_map) == len(shape) else None
        if placement is None:
            raise UserError(
                f"{self.path}: {name} {list(shape)} cannot be divided into {list(layout.parts)} parts; "
                "the strategy is of another model"
            )
        return placement


def layout_of(dims: ParallelDims, name: str, placement: Placement) -> TensorLayout:
    """Describe a block that a rank holds under the plan; optimizer state may be cut once more over the replicas."""
    axis, shape = rule_for(weight_of(name)).role.axis, placement.global_shape
    part = tuple(size // dims.model_parallel if index == axis else size for index, size in enumerate(shape))
    tensor_map = tuple((0,) if index == axis and dims.model_parallel > 1 else () for index in range(len(shape)))
    devices = (dims.data_parallel, dims.model_parallel)
    if placement.shape == part:
        return TensorLayout(devices, tensor_map, placement.shape)
    return TensorLayout(devices, tensor_map, placement.shape, dims.model_parallel, dims.data_parallel)
