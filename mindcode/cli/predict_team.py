"""The processes of `mindcode predict`: one that has all of the network, or several that have a part each.

mindcode launch --worker_num 2 mindcode predict --model_parallel 2 --config X.yaml --load_checkpoint model.ckpt ...
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.cli.predict_model import LoadedModel, read_blocks, weights_path
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import processes_needed
from mindcode.config.validate import check_world_size
from mindcode.generation.crew import Build, Crew
from mindcode.runtime.cluster import launched_workers
from mindcode.utils.errors import UserError
from mindcode.utils.fingerprint import fingerprint

if TYPE_CHECKING:
    from mindcode.generation.batch import Steps
    from mindcode.runtime.distributed import Group


class KeptSteps:
    """Makes this process' steps, and keeps them: asked for the same again, their graphs need not be compiled again."""

    def __init__(self) -> None:
        self._kept: Steps | None = None
        self._made_for: tuple[object, ...] = ()
        self._weights = ""

    def make(self, config: RunConfig, loaded: LoadedModel, batch_size: int, group: "Group") -> "Steps":
        """Return steps with the weights of `loaded`."""
        from mindcode.generation.devices import steps_on
        from mindcode.generation.executor import Executor

        wanted, weights = (loaded.model, loaded.cache_length, batch_size, group), fingerprint(*loaded.source.files)
        if self._kept is None or wanted != self._made_for or weights != self._weights:
            blocks = read_blocks(loaded, group.size, group.index)
            if isinstance(self._kept, Executor) and wanted == self._made_for:
                self._kept.load(dict(blocks))
            else:
                self._kept = None  # its memory goes before the next one's comes
                self._kept = steps_on(config.context.device_target)(loaded.model, blocks, batch_size, group)
        self._made_for, self._weights = wanted, weights
        return self._kept


@dataclass(frozen=True)
class Team:
    """This process among those that predict together."""

    crew: Crew
    weights: Path
    """What all of them load."""
    group: "Group | None" = None
    """All of them; None for a process alone, which needs no MindSpore to say so."""
    kept: KeptSteps = field(default_factory=KeptSteps)
    """This process' steps."""

    def build(self, config: RunConfig, loaded: LoadedModel) -> Build:
        """Return batch size -> this process' steps."""

        def steps(batch_size: int) -> "Steps":
            from mindcode.runtime.context import set_context
            from mindcode.runtime.distributed import SINGLE

            if self.group is None:
                set_context(config.context)
            return self.kept.make(config, loaded, batch_size, self.group or SINGLE)

        return steps


def start_team(config: RunConfig) -> Team:
    """Connect to the other processes, if the configuration has any.

    Raises UserError unless as many run as it asks for, and on all of them when the weights cannot be found.
    """
    running, needed = launched_workers(), processes_needed(config)
    if running == 1 < needed:
        raise UserError(
            f"use_parallel: the network is split over {needed} processes; start them with mindcode launch "
            f"--worker_num {needed} mindcode predict ..., or add --use_parallel False"
        )
    check_world_size(config, running)
    if running == 1:
        return Team(Crew(0, lambda numbers: numbers), weights_path(config))
    from mindcode.parallel.agreement import Agreement
    from mindcode.runtime.context import set_context
    from mindcode.runtime.distributed import GroupSum, join_group, start_processes

    set_context(config.context)
    world = start_processes()
    group = join_group(range(world.size), world.rank)
    weights = Agreement(group).path(lambda: weights_path(config))
    assert weights is not None
    return Team(Crew(group.index, GroupSum(group)), weights, group)
