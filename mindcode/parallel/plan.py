"""The plan: how every parameter of the model is split, as a table of name patterns and roles. Pure Python.

    plan = Plan(config, dims)
    plan.local_shape("model.layers.0.attention.wq.weight", (8192, 8192))     # (1024, 8192) with model_parallel 8
    plan.placement("model.layers.0.attention.wq.weight", (8192, 8192), rank=3)

Both interpreters, the checkpoints and the memory planner read this table and nothing else.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from math import prod

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims, stage_of_layers
from mindcode.utils.errors import UserError

Shape = tuple[int, ...]


class Role(Enum):
    """What a parameter does; its value is the axis that tensor parallelism splits, or None."""

    COLUMN = ("column", 0)
    """[out, in], split by output: every rank computes some of the outputs."""
    ROW = ("row", 1)
    """[out, in], split by input: every rank computes a summand of all outputs."""
    VOCAB = ("vocab", 0)
    """[vocabulary, width], split by vocabulary."""
    NORM = ("norm", None)
    """A vector that all ranks hold; with sequence parallelism each sees other tokens."""

    @property
    def axis(self) -> int | None:
        """The axis that is split."""
        return self.value[1]


class Stage(Enum):
    """Where in the pipeline a parameter lives."""

    FIRST = "first"
    LAYER = "layer"
    LAST = "last"


@dataclass(frozen=True)
class Rule:
    """All parameters whose name matches `pattern` in full."""

    pattern: str
    role: Role
    stage: Stage


RULES = (
    Rule(r"model\.tok_embeddings\.embedding_weight", Role.VOCAB, Stage.FIRST),
    Rule(r"model\.layers\.\d+\.attention\.w[qkv]\.weight", Role.COLUMN, Stage.LAYER),
    Rule(r"model\.layers\.\d+\.attention\.wo\.weight", Role.ROW, Stage.LAYER),
    Rule(r"model\.layers\.\d+\.feed_forward\.w[13]\.weight", Role.COLUMN, Stage.LAYER),
    Rule(r"model\.layers\.\d+\.feed_forward\.w2\.weight", Role.ROW, Stage.LAYER),
    Rule(r"model\.layers\.\d+\.(attention|ffn)_norm\.weight", Role.NORM, Stage.LAYER),
    Rule(r"model\.norm_out\.weight", Role.NORM, Stage.LAST),
    Rule(r"lm_head\.weight", Role.VOCAB, Stage.LAST),
)

EMBEDDING = "model.tok_embeddings.embedding_weight"
_LAYER = re.compile(r"model\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Placement:
    """The block of a tensor that one rank holds."""

    global_shape: Shape
    start: Shape
    """First index of the block along every axis."""
    shape: Shape
    """Size of the block."""

    @property
    def is_whole(self) -> bool:
        """Whether the block is all of the tensor."""
        return self.shape == self.global_shape


@functools.cache
def rule_for(name: str) -> Rule:
    """Return the one rule that covers a parameter; UserError when none or several do."""
    found = [rule for rule in RULES if re.fullmatch(rule.pattern, name)]
    if len(found) != 1:
        patterns = ", ".join(rule.pattern for rule in found) or "none"
        raise UserError(f"parallel plan: parameter {name!r} is covered by {patterns}; exactly one rule must cover it")
    return found[0]


@dataclass(frozen=True)
class Plan:
    """The table, applied to one model and one set of degrees."""

    model: ModelConfig
    dims: ParallelDims
    offset: int | tuple[int, ...] = 0

    @classmethod
    def of(cls, config: RunConfig) -> "Plan":
        """Return the plan of a run."""
        sizes = config.model.model_config
        return cls(sizes, ParallelDims.of(config), sizes.offset)

    def stages_of(self, name: str) -> tuple[int, ...]:
        """Pipeline stages that hold a parameter; a tied embedding lives on the first and on the last one."""
        last = self.dims.pipeline_stage - 1
        stage = rule_for(name).stage
        if stage is Stage.LAYER:
            match = _LAYER.match(name)
            assert match is not None
            return (stage_of_layers(self.model.num_layers, self.dims.pipeline_stage, self.offset)[int(match[1])],)
        if name == EMBEDDING and self.model.tie_word_embeddings:
            return tuple(sorted({0, last}))
        return (0,) if stage is Stage.FIRST else (last,)

    def local_shape(self, name: str, global_shape: Shape) -> Shape:
        """Return the shape of a part; UserError when the axis does not divide."""
        axis, parts = rule_for(name).role.axis, self.dims.model_parallel
        if axis is None:
            return global_shape
        if global_shape[axis] % parts:
            raise UserError(
                f"{name}: axis {axis} of {list(global_shape)} is not divisible by model_parallel {parts}; "
                "choose a model_parallel that divides it"
            )
        return tuple(size // parts if index == axis else size for index, size in enumerate(global_shape))

    def placement(self, name: str, global_shape: Shape, rank: int) -> Placement:
        """Return the block of a parameter that `rank` holds, if its stage holds the parameter at all."""
        axis, part = rule_for(name).role.axis, self.dims.coordinates(rank).part
        shape = self.local_shape(name, global_shape)
        start = tuple(part * size if index == axis else 0 for index, size in enumerate(shape))
        return Placement(global_shape, start, shape)

    def state_placement(self, name: str, global_shape: Shape, rank: int, threshold: int) -> Placement:
        """Return the block of a parameter's optimizer state that `rank` holds when the state is sharded.

        The first axis of the rank's part is split once more, over the replicas (Rajbhandari et al. 2020, ZeRO stage 1);
        vectors, parts smaller than `threshold` bytes of fp32, and those that do not divide, are kept whole: a vector is
        on all ranks of a stage, and MindSpore would share it out among neighbours, not among replicas.
        """
        whole, replicas = self.placement(name, global_shape, rank), self.dims.data_parallel
        is_small = len(global_shape) == 1 or prod(whole.shape) * 4 < threshold
        if is_small or whole.shape[0] % replicas:
            return whole
        rows, replica = whole.shape[0] // replicas, self.dims.coordinates(rank).replica
        start = (whole.start[0] + replica * rows, *whole.start[1:])
        return Placement(global_shape, start, (rows, *whole.shape[1:]))

    def local_parameters(self, rank: int) -> dict[str, Placement]:
        """Return the block of every parameter that `rank` holds, in the order of the network."""
        stage = self.dims.coordinates(rank).stage
        shapes = parameter_shapes(self.model)
        return {
            name: self.placement(name, shape, rank) for name, shape in shapes.items() if stage in self.stages_of(name)
        }


def smallest_shared_state(config: RunConfig) -> int | None:
    """Return the size, in bytes of fp32, from which replicas share the state of a part; None when they share none."""
    parallel = config.parallel
    if not parallel.enable_parallel_optimizer or config.parallel_config.data_parallel == 1:
        return None
    return parallel.parallel_optimizer_config.parallel_optimizer_threshold * 1024


def blocks_on(config: RunConfig, rank: int) -> dict[str, Placement]:
    """Return the block of each weight, and of its optimizer state, that `rank` holds on NPUs.

    Where replicas share the state MindSpore shares out the weight itself, too, and gathers it when it is needed.
    """
    plan, threshold = Plan.of(config), smallest_shared_state(config)
    shapes = parameter_shapes(plan.model)
    held = plan.local_parameters(rank)
    if threshold is None:
        return held
    return {name: plan.state_placement(name, shapes[name], rank, threshold) for name in held}


def check_coverage(names: Iterable[str]) -> None:
    """Raise UserError unless every parameter is covered by exactly one rule."""
    for name in names:
        rule_for(name)
