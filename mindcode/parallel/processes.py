"""Where one process stands in the plan, and the groups in which it talks.

processes = join_processes(config, start_processes())
"""

from dataclasses import dataclass

from mindspore import nn

from mindcode.config.schema import RunConfig
from mindcode.config.validate import check_world_size
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.parallel.explicit import split_model
from mindcode.parallel.plan import Placement, Plan, smallest_shared_state
from mindcode.runtime.distributed import SINGLE, Group, World, join_group
from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class Processes:
    """One process' view of all of them."""

    world: World
    plan: Plan
    place: Coordinates
    sequence_parallel: bool
    shard_state_above: int | None
    """Smallest part, in bytes of fp32, whose optimizer state is shared out among the replicas; None: none is."""
    everyone: Group
    tensor: Group
    """The parts of the same tensors."""
    data: Group
    """The replicas of the same parts."""
    model: Group
    """Everything that makes up one copy of the model."""
    before: Group
    """The stage before this one, and this one; a group of one for the first stage."""
    after: Group
    """This stage and the one after it."""
    ends: Group
    """The first and the last stage, if this is one of them."""

    @property
    def dims(self) -> ParallelDims:
        """The degrees."""
        return self.plan.dims

    @property
    def is_first(self) -> bool:
        """Whether this process writes what belongs to all of them."""
        return self.world.rank == 0

    @property
    def is_last_stage(self) -> bool:
        """Whether this process computes the loss."""
        return self.place.stage == self.dims.pipeline_stage - 1

    def placements(self) -> dict[str, Placement]:
        """The block of each parameter that this process holds."""
        return self.plan.local_parameters(self.world.rank)

    def state_placements(self) -> dict[str, Placement]:
        """The block of the optimizer's state of each parameter that this process holds."""
        held = self.placements()
        if self.shard_state_above is None:
            return held
        rank, threshold = self.world.rank, self.shard_state_above
        return {n: self.plan.state_placement(n, p.global_shape, rank, threshold) for n, p in held.items()}

    def split(self, model: nn.Cell) -> None:
        """Cut a whole model to this process' blocks, in place."""
        split_model(model, self.plan, self.world.rank, self.tensor, self.sequence_parallel)


def join_processes(config: RunConfig, world: World) -> Processes:
    """Create the groups of this process.

    All processes create their groups in the same order, so that nobody waits for a group that comes later. Raises
    UserError unless as many processes run as the degrees ask for, and on devices other than CPUs: NPUs take the other
    interpreter, semi_auto.py, which `mindcode train` does not drive.
    """
    check_world_size(config, world.size)
    if world.size > 1 and config.context.device_target != "CPU":
        raise UserError(
            f"context.device_target: {config.context.device_target}, but training over several processes runs on CPUs "
            "only so far; use --device_target CPU, or one process"
        )
    plan = Plan(config.model.model_config, ParallelDims.of(config), config.model.model_config.offset)
    dims, rank = plan.dims, world.rank
    place, stages = dims.coordinates(rank), dims.pipeline_group(rank)
    tensor, data = join_group(dims.tensor_group(rank), rank), join_group(dims.data_group(rank), rank)
    last = dims.pipeline_stage - 1
    return Processes(
        world=world,
        plan=plan,
        place=place,
        sequence_parallel=config.parallel_config.use_seq_parallel and dims.model_parallel > 1,
        shard_state_above=smallest_shared_state(config),
        everyone=join_group(range(world.size), rank),
        tensor=tensor,
        data=data,
        model=join_group(dims.model_group(rank), rank),
        before=join_group(stages[place.stage - 1 : place.stage + 1], rank) if place.stage > 0 else SINGLE,
        after=join_group(stages[place.stage : place.stage + 2], rank) if place.stage < last else SINGLE,
        ends=join_group((stages[0], stages[-1]), rank) if last and place.stage in (0, last) else SINGLE,
    )
