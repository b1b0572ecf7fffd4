"""Generation on one NPU or several: the steps that an engine takes, or only their graphs.

    generation = npu_generation(config, rank=0)      # tensors take no memory yet
    generation.compile()                             # prefill and decode, without weights
    for parameter in generation.everything:          # weights and cache of this rank, with the shapes of its blocks
        print(parameter.name, parameter.shape, parameter.dtype)

Shapes are static: a prefill takes one prompt, padded to one of a few lengths, each compiled when it is first used.
Fused attention reads the prompt, PagedAttention the cache, in blocks; AllReduce adds up over the processes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor, nn
from mindspore.nn.utils import no_init_parameters

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.generation.batch import Lane
from mindcode.generation.blocks import BlockTables
from mindcode.generation.engine import longest_text
from mindcode.generation.executor import Predictions, cache_lengths
from mindcode.generation.paged_cells import PagedStep, paged_kernels
from mindcode.generation.split_vocabulary import JoinedLogits
from mindcode.model.kernels import Kernels
from mindcode.model.llama import LlamaForCausalLM
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.explicit import split_model
from mindcode.parallel.plan import Placement, Plan
from mindcode.runtime.context import use_inference_kernels
from mindcode.runtime.distributed import Group, join_group
from mindcode.utils.errors import UserError

FORMATS = ("float16", "bfloat16")
"""Of PagedAttention."""


@dataclass(frozen=True)
class Arguments:
    """What a step is called with, see PagedStep."""

    tokens: np.ndarray
    positions: np.ndarray
    slots: np.ndarray
    tables: np.ndarray
    lengths: np.ndarray
    last: np.ndarray

    def tensors(self) -> list[Tensor]:
        """In the order of the call."""
        columns = (self.tokens, self.positions, self.slots, self.tables, self.lengths, self.last)
        return [Tensor(column.astype(np.int32)) for column in columns]


class PagedExecutor:
    """Runs prefill and decode steps for the rows of `blocks`; a prompt is padded to one of `lengths`."""

    lanes = 1

    def __init__(self, step: PagedStep, blocks: BlockTables, lengths: Sequence[int], group: Group) -> None:
        self.batch_size, self.lane_tokens = len(blocks.tables), lengths[-1]
        self.step, self.blocks, self.lengths = step, blocks, lengths
        self._join = JoinedLogits(group) if group.size > 1 else nn.Identity()

    def reserve(self, tokens: int) -> None:
        """Every row has its blocks already."""

    def prefill(self, lanes: Sequence[Lane]) -> Predictions:
        """Run one prompt."""
        (lane,) = lanes
        return self._predict(self.prefill_arguments(lane))

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> Predictions:
        """Store `tokens` [B] at `positions` [B] of their rows and predict the next ones."""
        return self._predict(self.decode_arguments(tokens, positions))

    def prefill_arguments(self, lane: Lane) -> Arguments:
        """The prompt, and padding behind it, whose keys are replaced before they are ever seen."""
        count = len(lane.ids)
        size = next(length for length in self.lengths if length >= count)
        tokens, positions = np.zeros(size, np.int32), np.arange(size)
        tokens[:count] = lane.ids
        slots, table = self.blocks.slots(lane.row, positions), self.blocks.tables[lane.row : lane.row + 1]
        return Arguments(tokens, positions, slots, table, np.array([count]), np.array([count - 1]))

    def decode_arguments(self, tokens: np.ndarray, positions: np.ndarray) -> Arguments:
        """One token of every row."""
        rows = np.arange(self.batch_size)
        slots = self.blocks.slots(rows, positions)
        return Arguments(tokens, positions, slots, self.blocks.tables, positions + 1, rows)

    def _predict(self, arguments: Arguments) -> Predictions:
        ids, logits = self.step(*arguments.tensors())
        return Predictions(ids.asnumpy(), logits, self._join)


@dataclass(frozen=True)
class NpuGeneration:
    """One rank's part of the network and its cache, and the steps made of them."""

    weights: tuple[Parameter, ...]
    """With the shapes of this rank's blocks."""
    caches: tuple[Parameter, ...]
    """Keys and values of every layer, [num_blocks, block_size, own key/value heads, head_dim]."""
    placements: Mapping[str, Placement]
    """The block of each weight, by name."""
    executor: PagedExecutor

    @property
    def everything(self) -> tuple[Parameter, ...]:
        """Weights and cache."""
        return (*self.weights, *self.caches)

    def compile(self) -> None:
        """Compile the prefill of the longest prompt and the decode step."""
        for arguments in self._longest_steps():
            self.executor.step.compile(*arguments.tensors())

    def rehearse(self) -> None:
        """Take both steps, after which all memory that they need has been allocated."""
        for arguments in self._longest_steps():
            self.executor.step(*arguments.tensors())

    def load(self, blocks: Iterable[tuple[str, np.ndarray]]) -> None:
        """Take this rank's blocks of the weights, by name."""
        parameters = {parameter.name: parameter for parameter in self.weights}
        for name, block in blocks:
            parameters[name].set_data(Tensor(block, parameters[name].dtype))
        for cache in self.caches:
            cache.init_data()

    def _longest_steps(self) -> tuple[Arguments, Arguments]:
        executor = self.executor
        rows, longest = np.zeros(executor.batch_size, np.int32), Lane(0, 0, (0,) * executor.lane_tokens)
        return executor.prefill_arguments(longest), executor.decode_arguments(rows, rows)


def npu_generation(config: RunConfig, rank: int) -> NpuGeneration:
    """Return the generation of `rank`, once MindSpore's communication is up; UserError for what cannot be split."""
    sizes = config.model.model_config
    group = join_group(ParallelDims.of(config).tensor_group(rank), rank)
    return paged_generation(sizes, group, config.predict_batch_size or sizes.batch_size)


def paged_generation(config: ModelConfig, group: Group, batch_size: int) -> NpuGeneration:
    """Return the generation of this process of `group`; UserError for a format that NPUs do not decode in."""
    if config.compute_dtype not in FORMATS:
        raise UserError(
            f"model.model_config.compute_dtype: {config.compute_dtype} does not decode on an NPU "
            f"(known: {', '.join(FORMATS)}); add --model.model_config.compute_dtype float16"
        )
    use_inference_kernels()
    return build_generation(config, group, batch_size, paged_kernels)


def build_generation(
    config: ModelConfig, group: Group, batch_size: int, kernels: Callable[[int], Kernels]
) -> NpuGeneration:
    """Make the network without its weights; `kernels` by the size of the group.

    Raises UserError when the pool of blocks is too small for the rows.
    """
    lengths = cache_lengths(longest_text(config))
    blocks = BlockTables.of(batch_size, lengths[-1], config.block_size, config.num_blocks)
    plan = Plan(config, ParallelDims(model_parallel=group.size))
    with no_init_parameters():
        model = LlamaForCausalLM(config, kernels(group.size))
        split_model(model, plan, group.index, group, sequence_parallel=False)
        step = PagedStep(config, model, lengths[-1], group)
    weights = tuple(model.trainable_params())
    caches = tuple(parameter for parameter in model.get_parameters() if not parameter.requires_grad)
    executor = PagedExecutor(step, blocks, lengths, group)
    return NpuGeneration(weights, caches, plan.local_parameters(group.index), executor)
