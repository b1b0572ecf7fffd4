"""Where the tensors of a checkpoint, weights and optimizer state, belong in a split: from the plan, by name.

split = Split.of_tensors(shapes, ParallelDims(2, 4, 1), offset=0, shard_state_above=64 * 1024)
split.placements(shapes, rank=3)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mindcode.checkpoint.names import HEAD, STATE_PREFIXES
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.parallel.dims import ParallelDims, stage_of_layers
from mindcode.parallel.plan import Placement, Plan, Shape, smallest_shared_state
from mindcode.utils.errors import UserError

_LAYER = re.compile(r"model\.layers\.(\d+)\.")


def weight_of(name: str) -> str:
    """Return the weight that a tensor of the optimizer's state belongs to; a weight belongs to itself."""
    prefix = next((prefix for prefix in STATE_PREFIXES if name.startswith(prefix)), "")
    return name.removeprefix(prefix)


@dataclass(frozen=True)
class Split:
    """A plan, and whether the optimizer's state is cut once more over the data-parallel ranks."""

    plan: Plan
    shard_state_above: int | None = None
    """Smallest part, in bytes of fp32, whose state is cut; None cuts none."""

    @property
    def dims(self) -> ParallelDims:
        """The degrees."""
        return self.plan.dims

    @classmethod
    def of_tensors(
        cls,
        shapes: Mapping[str, Shape],
        dims: ParallelDims,
        offset: int | tuple[int, ...] = 0,
        shard_state_above: int | None = None,
    ) -> "Split":
        """Return the split of a checkpoint's tensors; the number of layers is read off their names.

        Raises UserError when the stages do not hold exactly these layers.
        """
        layers = 1 + max((int(match[1]) for name in shapes if (match := _LAYER.search(name))), default=-1)
        if isinstance(offset, tuple) and len(offset) != dims.pipeline_stage:
            raise UserError(f"offset: {len(offset)} numbers for {dims.pipeline_stage} stages; give one for each")
        held = len(stage_of_layers(layers, dims.pipeline_stage, offset))
        if held != layers:
            raise UserError(
                f"pipeline_stage {dims.pipeline_stage}: {layers} layers // {dims.pipeline_stage} stages plus offset "
                f"{offset} hold {held} layers; give one number of more or fewer layers for each stage"
            )
        model = ModelConfig(num_layers=layers, tie_word_embeddings=HEAD not in shapes)
        return cls(Plan(model, dims, offset), shard_state_above)

    @classmethod
    def of_run(cls, config: RunConfig) -> "Split":
        """Return the split of a run."""
        return cls(Plan.of(config), smallest_shared_state(config))

    def placements(self, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
        """Return the block of every tensor that `rank` holds, in the order of `shapes`.

        Raises UserError for a tensor that the plan does not know or cannot divide.
        """
        stage = self.plan.dims.coordinates(rank).stage
        return {
            name: self._placement(name, shape, rank)
            for name, shape in shapes.items()
            if stage in self.plan.stages_of(weight_of(name))
        }

    def _placement(self, name: str, shape: Shape, rank: int) -> Placement:
        weight = weight_of(name)
        if name == weight or self.shard_state_above is None:
            return self.plan.placement(weight, shape, rank)
        return self.plan.state_placement(weight, shape, rank, self.shard_state_above)
