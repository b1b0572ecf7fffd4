"""Where one process stands in the plan, and the groups in which it talks.

processes = join_processes(config, start_processes())
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mindspore import nn

from mindcode.config.schema import RunConfig
from mindcode.config.validate import check_world_size
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.parallel.explicit import split_model
from mindcode.parallel.plan import Placement, Plan, smallest_shared_state
from mindcode.runtime.distributed import SINGLE, Group, World, join_group, world_group
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup


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
    rows_part: int
    """Which part of the rows of a micro-batch this process reads."""
    rows_parts: int
    """Into how many parts they are cut."""
    tensor: Group = SINGLE
    """The parts of the same tensors."""
    data: Group = SINGLE
    """The replicas of the same parts."""
    model: Group = SINGLE
    """Everything that makes up one copy of the model."""
    before: Group = SINGLE
    """The stage before this one, and this one; a group of one for the first stage."""
    after: Group = SINGLE
    """This stage and the one after it."""
    ends: Group = SINGLE
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
    """Return where this process stands; where it talks on its own, in which groups.

    All processes create their groups in the same order, so that nobody waits for a group that comes later. Raises
    UserError unless as many processes run as the degrees ask for, and for what several NPUs cannot do.
    """
    check_world_size(config, world.size)
    join = lookup(INTERPRETERS, config.context.device_target, "context.device_target")
    return join(config, world) if world.size > 1 else _explicit(config, world)


def _explicit(config: RunConfig, world: World) -> Processes:
    """The explicit interpreter places its collectives by hand."""
    plan = Plan.of(config)
    dims, rank = plan.dims, world.rank
    place, stages = dims.coordinates(rank), dims.pipeline_group(rank)
    tensor, data = join_group(dims.tensor_group(rank), rank), join_group(dims.data_group(rank), rank)
    last = dims.pipeline_stage - 1
    return replace(
        _alone(config, world, join_group(range(world.size), rank)),
        rows_part=place.replica,
        rows_parts=dims.data_parallel,
        tensor=tensor,
        data=data,
        model=join_group(dims.model_group(rank), rank),
        before=join_group(stages[place.stage - 1 : place.stage + 1], rank) if place.stage > 0 else SINGLE,
        after=join_group(stages[place.stage : place.stage + 2], rank) if place.stage < last else SINGLE,
        ends=join_group((stages[0], stages[-1]), rank) if last and place.stage in (0, last) else SINGLE,
    )


def _semi_auto(config: RunConfig, world: World) -> Processes:
    """MindSpore's compiler makes the groups that it needs; every process gives it all rows of a micro-batch."""
    for key, value in (("do_eval", config.do_eval), ("run_mode", config.run_mode)):
        if value in (True, "eval"):
            raise UserError(
                f"{key}: {value}, but the loss on eval_dataset is measured by one process or on CPUs; with several "
                f"NPUs train without it (do_eval False), and measure checkpoints with --run_mode eval in one process"
            )
    return _alone(config, world, world_group(world))


INTERPRETERS: dict[str, Callable[[RunConfig, World], Processes]] = {"CPU": _explicit, "Ascend": _semi_auto}
"""By device target: who splits the model decides who talks to whom."""


def _alone(config: RunConfig, world: World, everyone: Group) -> Processes:
    """A process that reads all rows and talks to everyone or nobody."""
    plan = Plan.of(config)
    return Processes(
        world=world,
        plan=plan,
        place=plan.dims.coordinates(world.rank),
        sequence_parallel=config.parallel_config.use_seq_parallel and plan.dims.model_parallel > 1,
        shard_state_above=smallest_shared_state(config),
        everyone=everyone,
        rows_part=0,
        rows_parts=1,
    )
