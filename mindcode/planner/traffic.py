"""What the ranks of a stage send each other in one step, as a table: kind, purpose, with whom, how often, bytes.

    for message in stage_traffic(config, stage=0):
        message.kind, message.group, message.count, message.sent_bytes

The rows are the collectives that MindSpore inserts for the plan, as they stand in the compiled graph.
"""

from collections import Counter
from dataclasses import dataclass

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.planner.activations import Recompute, recompute_of_layers
from mindcode.planner.layout import layers_of_stages
from mindcode.planner.shapes import Sizes
from mindcode.planner.weights import Amount, stage_weights

Group = tuple[int, ...]

PASSES = {"AllGather": 1, "ReduceScatter": 1, "AllReduce": 2}
"""How often a tensor goes round its group, less each rank's own share of it (Thakur et al. 2005)."""


@dataclass(frozen=True)
class Message:
    """All messages of one kind and purpose in a step, seen from the first rank of a stage."""

    kind: str
    """AllGather, ReduceScatter, AllReduce, Send or Receive."""
    purpose: str
    every: str
    """micro-batch or step."""
    group: Group
    """The ranks that take part; for Send and Receive the other one."""
    count: int
    tensor_bytes: int
    """Of the whole tensors, summed over the step."""

    @property
    def sent_bytes(self) -> float:
        """What one rank sends in a step; for Receive, what it receives."""
        size = len(self.group)
        return self.tensor_bytes * (PASSES[self.kind] * (size - 1) / size if self.kind in PASSES else 1)


def stage_traffic(config: RunConfig, stage: int) -> tuple[Message, ...]:
    """Return what the first rank of a stage exchanges in one training step; nothing for a group of one."""
    of = _Stage(config, stage)
    found = [*of.stream(), *of.ends(), *of.neighbours(), *of.replicas(), *of.norms(), *of.everyone()]
    return tuple(message for message in found if message.count and (message.kind not in PASSES or message.group[1:]))


class _Stage:
    def __init__(self, config: RunConfig, stage: int) -> None:
        self.config, self.stage = config, stage
        self.dims, self.sizes = ParallelDims.of(config), Sizes.of(config)
        self.rank = self.dims.rank(Coordinates(stage, 0, 0))
        self.tensor, self.data = self.dims.tensor_group(self.rank), self.dims.data_group(self.rank)
        self.weights = stage_weights(config, stage)
        self.micro_batches = micro_batches_per_step(config)

    def stream(self) -> list[Message]:
        """Around the products of a layer: what they need is gathered, what they give is summed."""
        layers = layers_of_stages(self.config)[self.stage]
        recomputed = recompute_of_layers(self.config)
        choices = Counter(recomputed[layer] for layer in layers)
        whole, norms = choices[Recompute.ALL], choices[Recompute.NORMS]
        if not self.sizes.is_sliced:
            return [self._streams("AllReduce", "layers", 4 * len(layers) + whole)]
        # the second half of a layer's forward pass starts from the sum behind its first half; its own is not needed
        return [
            self._streams("AllGather", "layers", 4 * len(layers) + 2 * (whole + norms)),
            self._streams("ReduceScatter", "layers", 4 * len(layers) + whole),
        ]

    def ends(self) -> list[Message]:
        """Embedding and head are split by the vocabulary.

        Without sequence parallelism each asks for one sum, and MindSpore puts both on the first stage.
        """
        messages: list[Message] = []
        if self.stage == 0:
            sums = [self._streams("AllReduce", "embedding and head", 2)]
            messages += self._around("embedding") if self.sizes.is_sliced else sums
        if self.stage == self.dims.pipeline_stage - 1:
            messages += self._around("head") if self.sizes.is_sliced else []
            # of every token the largest logit, the sum and the target's, two of them on the way back; two sums over all
            tokens, numbers = 5 * self.micro_batches, 3 * self.micro_batches
            size = self.sizes.bytes_of("d", "one", "float32")
            messages += [
                Message("AllReduce", "loss", "micro-batch", self.tensor, tokens, tokens * size),
                Message("AllReduce", "loss", "micro-batch", self.data, numbers, numbers * 4),
            ]
        return messages

    def neighbours(self) -> list[Message]:
        """Activations go to the next stage, their gradients come back."""
        pipeline, size = self.dims.pipeline_group(self.rank), self.sizes.bytes_of("t", "width", "compute")
        others = [other for other in (self.stage - 1, self.stage + 1) if 0 <= other < len(pipeline)]
        return [
            Message(kind, "pipeline", "micro-batch", (pipeline[other],), self.micro_batches, self.micro_batches * size)
            for other in others
            for kind in ("Send", "Receive")
        ]

    def replicas(self) -> list[Message]:
        """Matrices: weights that are shared are gathered and their gradients scattered, others are summed."""
        return [
            self._weights("AllGather", "weights", self.weights.shared),
            self._weights("ReduceScatter", "gradients", self.weights.shared),
            self._weights("AllReduce", "gradients", self.weights.copied),
        ]

    def norms(self) -> list[Message]:
        """Gradients of vectors, in fp32, which are on all ranks of a stage."""
        stage = tuple(r for r in range(self.dims.world_size) if self.dims.coordinates(r).stage == self.stage)
        norms = self.weights.norms
        return [Message("AllReduce", "norm gradients", "step", stage, norms.tensors, 4 * norms.numbers)]

    def everyone(self) -> list[Message]:
        """The sum of the squares of all gradients."""
        return [Message("AllReduce", "global norm", "step", tuple(range(self.dims.world_size)), 1, 4)]

    def _around(self, purpose: str) -> list[Message]:
        """Of the product with a table, or the rows of one, forward and backward."""
        return [self._streams(kind, purpose, 1) for kind in ("AllGather", "ReduceScatter")]

    def _streams(self, kind: str, purpose: str, for_each: int) -> Message:
        """Tensors of a micro-batch's residual stream."""
        count = for_each * self.micro_batches
        return Message(
            kind, purpose, "micro-batch", self.tensor, count, count * self.sizes.bytes_of("d", "width", "compute")
        )

    def _weights(self, kind: str, purpose: str, weights: Amount) -> Message:
        return Message(kind, purpose, "step", self.data, weights.tensors, weights.bytes)
