"""The training step that MindSpore's semi-automatic parallelism compiles (Ascend): one function, one graph.

    step = SemiAutoStep(network, optimizer.parameters, update, config)
    loss, norm, finite = step(input_ids, labels, loss_scale, scalars)

The form of the function matters; other forms compile and train wrongly without a word, or are refused:

- every rank gets the whole global batch, micro-batch after micro-batch, and nothing else: any further input would be
  taken for a batch. Numbers that change from step to step are parameters, set before the call;
- nothing is computed from the loss that comes out of the pipeline, on the way to the gradients: only the last stage has
  it, and on the others the graph would vanish. The loss scale enters as the gradient of the loss;
- gradients are taken for all parameters, also those of other stages, and the optimizer has all of them: MindSpore
  leaves out what is not of a stage, if gradients pass PipelineGradReducer and the step is a function, not a cell.
"""

from collections.abc import Callable, Sequence
from math import prod

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from mindspore.parallel.auto_parallel import AutoParallel

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step, rows_per_step
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan, smallest_shared_state
from mindcode.utils.errors import UserError

Graph = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class SemiAutoStep:
    """One optimizer step on the global batch, over all NPUs."""

    def __init__(self, network: nn.Cell, parameters: ParameterTuple, update: nn.Cell, config: RunConfig) -> None:
        """`network` maps (input_ids, labels) to the loss and has been through semi_auto.share.

        `update` maps (gradients, divisor, scalars) to (global norm, finite): gradients are those of the mean loss times
        the divisor. Its norm must count every rank's part, see GlobalSumOfSquares.
        """
        self._losses = micro_batches_per_step(config) * config.micro_batch_interleave_num
        self._rows_shape = (rows_per_step(config), config.model.model_config.seq_length)
        self._scale, self._divisor = _number("semi_auto.loss_scale"), _number("semi_auto.divisor")
        self._scalars = Parameter(Tensor(np.zeros(SCALARS, np.float32)), name="semi_auto.scalars", requires_grad=False)
        self._graph = parallelized(self._function(micro_batched(network, config), parameters, update, config), config)

    def compile(self) -> None:
        """Compile for this rank, without any rows; afterwards parameters have the shapes of their blocks."""
        rows = Tensor(np.zeros(self._rows_shape, np.int32))
        self._graph.compile(rows, rows)

    def __call__(
        self, input_ids: np.ndarray, labels: np.ndarray, loss_scale: float, scalars: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (mean loss, global norm, finite) of rows [global batch, S], ordered by micro-batch."""
        self._scale.set_data(Tensor(loss_scale, ms.float32))
        self._divisor.set_data(Tensor(loss_scale * self._losses, ms.float32))
        self._scalars.set_data(scalars)
        return self._graph(Tensor(input_ids), Tensor(labels))

    def _function(self, network: nn.Cell, parameters: ParameterTuple, update: nn.Cell, config: RunConfig) -> Graph:
        gradients = _Gradients(network, parameters, self._scale)
        losses, divisor, scalars = float(self._losses), self._divisor, self._scalars
        total, clear = _totals(parameters, config)

        @ms.jit
        def step(input_ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            loss, grads = gradients(input_ids, labels)
            norm, finite = update(total(grads), divisor, scalars)
            return loss / losses, clear(norm, finite), finite

        return step


SCALARS = 5
"""Numbers that an update needs besides the gradients."""


class _Gradients(nn.Cell):
    """(input_ids, labels) -> (loss, its gradients times the loss scale)."""

    def __init__(self, network: nn.Cell, parameters: ParameterTuple, scale: Parameter) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.parameters, self.scale = network, parameters, scale
        self.grad = ops.GradOperation(get_by_list=True, sens_param=True)

    def construct(self, input_ids: Tensor, labels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = self.network(input_ids, labels)
        return loss, self.grad(self.network, self.parameters)(input_ids, labels, self.scale * 1.0)


def _totals(parameters: ParameterTuple, config: RunConfig) -> tuple[nn.Cell, nn.Cell]:
    """Return how the gradients of all micro-batches are had, and how a step begins without those of the one before."""
    if micro_batches_per_step(config) == 1:
        return nn.Identity(), _Nothing()
    buffers = parameters.clone(prefix=ACCUMULATED, init="zeros")
    return _Totals(buffers, shared=smallest_shared_state(config) is not None), _Clear(buffers)


ACCUMULATED = "accu_grads"
"""Under this prefix MindSpore's compiler looks for buffers, in which it adds up the gradients of micro-batches."""


class _Totals(nn.Cell):
    """Gradients of the last micro-batch -> those of all, in the buffers; where replicas share them, it is them already.

    MindSpore's PipelineGradReducer does the same with a copy of every gradient in fp32.
    """

    def __init__(self, buffers: ParameterTuple, shared: bool) -> None:
        super().__init__(auto_prefix=False)
        self.buffers, self.shared, self.map = buffers, shared, ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return gradients if self.shared else self.map(ops.depend, self.buffers, gradients)


class _Clear(nn.Cell):
    """(norm, finite) -> norm, once the buffers, which have then been used, are zero.

    The zeros come from a comparison that is never true: those of ZerosLike would be constants as large as the buffers,
    and a product with zero would keep what is not finite.
    """

    def __init__(self, buffers: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.buffers, self.map = buffers, ops.HyperMap()
        self.assign, self.select, self.cast = ops.Assign(), ops.Select(), ops.Cast()
        self.zero = Tensor(0.0, ms.float32)

    def construct(self, norm: Tensor, finite: Tensor) -> Tensor:
        never = ops.depend(norm < 0.0, finite)
        return ops.depend(norm, self.map(ops.partial(self._clear, never), self.buffers))

    def _clear(self, never: Tensor, buffer: Parameter) -> Tensor:
        return self.assign(buffer, self.select(never, buffer, self.cast(self.zero, buffer.dtype)))


class _Nothing(nn.Cell):
    """(norm, finite) -> norm."""

    def construct(self, norm: Tensor, finite: Tensor) -> Tensor:
        return norm


class GlobalSumOfSquares(nn.Cell):
    """gradients -> the sum of the squares of all elements of the whole model, a scalar fp32, the same on every rank.

    A part that several ranks hold counts on each of them by its share, so that one AllReduce over all ranks is enough.
    """

    def __init__(self, parameters: Sequence[Parameter], config: RunConfig) -> None:
        super().__init__(auto_prefix=False)
        shares = copies_of_parameters(config)
        self.shares = tuple(1.0 / shares[parameter.name] for parameter in parameters)
        self.map, self.add = ops.HyperMap(), ops.AddN()
        self.reshape, self.cast, self.square, self.sum = ops.Reshape(), ops.Cast(), ops.Square(), ops.ReduceSum()
        self.all_reduce = ops.AllReduce()

    def construct(self, gradients: tuple[Tensor, ...]) -> Tensor:
        return self.all_reduce(self.add(self.map(self._one, self.shares, gradients)))

    def _one(self, share: float, gradient: Tensor) -> Tensor:
        # flat, and so another tensor than the one that the update casts: else the compiler keeps it in fp32 until then
        return self.sum(self.square(self.cast(self.reshape(gradient, (-1,)), ms.float32))) * share


def _number(name: str) -> Parameter:
    return Parameter(Tensor(1.0, ms.float32), name=name, requires_grad=False)


def copies_of_parameters(config: RunConfig) -> dict[str, int]:
    """Return how many ranks hold each element of a parameter's gradient when the optimizer sees it."""
    plan, threshold = Plan.of(config), smallest_shared_state(config)
    copies = {}
    for name, shape in parameter_shapes(plan.model).items():
        block = plan.placement(name, shape, 0)
        if threshold is not None:
            block = plan.state_placement(name, shape, 0, threshold)
        holders = plan.dims.data_parallel * plan.dims.model_parallel * len(plan.stages_of(name))
        copies[name] = holders * prod(block.shape) // prod(shape)
    return copies


def micro_batched(network: nn.Cell, config: RunConfig) -> nn.Cell:
    """Return the network over the micro-batches of a step; its loss is the sum of theirs.

    Raises UserError for interleaved copies together with pipeline stages, which MindSpore 2.9 cannot compile.
    """
    stages, copies = ParallelDims.of(config).pipeline_stage, config.micro_batch_interleave_num
    if stages > 1 and copies > 1:
        raise UserError(
            f"micro_batch_interleave_num: {copies}, but pipeline_stage is {stages} and MindSpore 2.9 compiles only one "
            "of the two; set micro_batch_interleave_num to 1"
        )
    if copies > 1:
        network = nn.MicroBatchInterleaved(network, copies)
    micro_batches = micro_batches_per_step(config)
    if micro_batches > 1:
        network = (nn.PipelineCell if stages > 1 else nn.GradAccumulationCell)(network, micro_batches)
    return network.set_train()


def parallelized(step: Graph, config: RunConfig) -> AutoParallel:
    """Return a compiled-on-first-call step under MindSpore's parallel compiler, with the run's settings."""
    graph = AutoParallel(step, parallel_mode="semi_auto")
    graph.dataset_strategy("full_batch")
    stages, parallel = ParallelDims.of(config).pipeline_stage, config.parallel
    if stages > 1:
        graph.pipeline(stages=stages)
    if parallel.gradients_mean:
        graph.enable_gradients_mean()
    if smallest_shared_state(config) is not None:
        # which parameters are large enough has been said of each, see semi_auto.set_shared_state
        graph.hsdp(threshold=0, optimizer_level=_optimizer_level(config))
    return graph


def _optimizer_level(config: RunConfig) -> str:
    """MindSpore's levels: 1 shards weights and state, 2 gradients, too, 3 gathers sharded weights twice.

    Raises UserError for what MindSpore 2.9 refuses, or compiles without some of the gradients.
    """
    stages, micro_batches = ParallelDims.of(config).pipeline_stage, micro_batches_per_step(config)
    if stages > 1 and config.model.model_config.tie_word_embeddings:
        raise UserError(
            f"parallel.enable_parallel_optimizer: True, but the model has tie_word_embeddings and {stages} pipeline "
            "stages, and MindSpore 2.9 does not return the gradient of a table on two of them; set it to False"
        )
    if config.recompute_config.parallel_optimizer_comm_recompute:
        if micro_batches > 1:
            raise UserError(
                "recompute_config.parallel_optimizer_comm_recompute: True, but a step has "
                f"{micro_batches} micro-batches, whose gradients MindSpore 2.9 then does not return; set it to False"
            )
        return "level3"
    if config.parallel.parallel_optimizer_config.gradient_accumulation_shard:
        if micro_batches > 1 and stages == 1:
            raise UserError(
                "parallel.parallel_optimizer_config.gradient_accumulation_shard: True, but a step has "
                f"{micro_batches} micro-batches and no pipeline, which MindSpore 2.9 refuses; set it to False"
            )
        return "level2"
    return "level1"
