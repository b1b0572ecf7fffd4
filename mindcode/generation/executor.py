"""The compiled side of the engine: weights and cache on the device, one pair of graphs for each length of the cache.

Attention over a padded cache costs time for every position it has, so the cache is as long as the rows need at the
moment, rounded up to a few lengths; when that changes, its content moves to a new one.

With several processes each has an executor of its blocks, and all of them must be told to do the same steps (crew.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindcode.config.model_schema import ModelConfig
from mindcode.generation.batch import Lane
from mindcode.generation.cells import (
    DecoderParameters,
    DecoderShare,
    DecodeStep,
    LayerCache,
    PrefillStep,
    refill,
    to_device,
)
from mindcode.generation.layout import decoder_weights
from mindcode.generation.split_vocabulary import JoinedLogits
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Plan
from mindcode.runtime.distributed import SINGLE, Group
from mindcode.utils.errors import UserError

LANE_TOKENS = 32
"""Tokens of a lane in prefill: a prompt is padded to a multiple of this."""
PREFILL_LANES, PREFILL_LANES_ALONE = 8, 4
DTYPES: dict[str, type[np.floating]] = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class Predictions:
    """What a step predicts: most likely ids on the host; logits stay on the device until somebody asks."""

    ids: np.ndarray
    own_logits: Tensor
    join: Callable[[Tensor], Tensor]

    def logits(self) -> np.ndarray:
        """Return [N, V] of the whole vocabulary; all processes must ask."""
        return self.join(self.own_logits).asnumpy()


@dataclass(frozen=True)
class _Graphs:
    caches: tuple[LayerCache, ...]
    prefill: PrefillStep
    decode: DecodeStep


class Executor:
    """Runs prefill and decode steps for `batch_size` rows of at most `cache_length` tokens."""

    lane_tokens = LANE_TOKENS

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, np.ndarray],
        batch_size: int,
        cache_length: int,
        lanes: int,
        group: Group = SINGLE,
    ) -> None:
        """`weights` are this process' blocks of those that `group` holds together."""
        self.config, self.batch_size, self.lanes = config, batch_size, lanes
        self._lengths = cache_lengths(cache_length)
        self._dtype, self._group = _numpy_dtype(config), group
        plan = Plan(config, ParallelDims(model_parallel=group.size))
        self._plan = plan
        self._parameters: DecoderParameters = to_device(decoder_weights(plan, weights, self._dtype))
        self._join = JoinedLogits(group) if group.size > 1 else nn.Identity()
        self._graphs: dict[int, _Graphs] = {}
        self._length = 0

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take other blocks of the same weights; the graphs stay."""
        refill(self._parameters, decoder_weights(self._plan, weights, self._dtype))

    def reserve(self, tokens: int) -> None:
        """Make the cache long enough for `tokens` positions, and shorter when much less is needed."""
        length = next(length for length in self._lengths if length >= tokens)
        if length == self._length or self._length // 2 < length < self._length:
            return
        old = self._graphs.get(self._length)
        if length not in self._graphs:
            self._graphs[length] = self._build(length)
        if old is not None:
            _move(old.caches, self._graphs[length].caches)
        self._length = length

    def prefill(self, lanes: Sequence[Lane]) -> Predictions:
        """Run at most `self.lanes` lanes; entry n predicts the token behind the last id of lane n."""
        count = len(lanes)
        filled = [*lanes, *([lanes[0]] * (self.lanes - count))]
        tokens = np.zeros((self.lanes, LANE_TOKENS), np.int32)
        for number, lane in enumerate(filled):
            tokens[number, : len(lane.ids)] = lane.ids
        start, rows, last = (
            np.array(column, np.int32)
            for column in zip(*((lane.start, lane.row, len(lane.ids) - 1) for lane in filled), strict=True)
        )
        ids, logits = self._graphs[self._length].prefill(Tensor(tokens), Tensor(start), Tensor(rows), Tensor(last))
        return Predictions(ids.asnumpy()[:count], logits, self._join)

    def decode(self, tokens: np.ndarray, positions: np.ndarray) -> Predictions:
        """Store `tokens` [B] at `positions` [B] of their rows and predict the next ones."""
        ids, logits = self._graphs[self._length].decode(Tensor(tokens), Tensor(positions))
        return Predictions(ids.asnumpy(), logits, self._join)

    def _build(self, length: int) -> _Graphs:
        shape = (self.batch_size, self.config.kv_heads // self._group.size, length, self.config.head_dim)
        caches = tuple(
            LayerCache(*(_zeros(f"{name}.{length}.{index}", shape, self._dtype) for name in ("keys", "values")))
            for index in range(self.config.num_layers)
        )
        share = DecoderShare(self._parameters, caches, self._group)
        prefill = PrefillStep(self.config, share, self.lanes, LANE_TOKENS)
        return _Graphs(caches, prefill, DecodeStep(self.config, share))


def prefill_lanes(batch_size: int) -> int:
    """Return how many lanes a prefill step has."""
    return PREFILL_LANES_ALONE if batch_size == 1 else PREFILL_LANES


def cache_lengths(longest: int) -> tuple[int, ...]:
    """Return the lengths a cache may have: 256, 384, 512, 768, ... up to `longest` (in whole lanes)."""
    top = -(-longest // LANE_TOKENS) * LANE_TOKENS
    lengths, power = [], 256
    while power < top:
        lengths += [length for length in (power, power + power // 2) if length < top]
        power *= 2
    return (*lengths, top)


def _numpy_dtype(config: ModelConfig) -> type[np.floating]:
    if config.compute_dtype not in DTYPES:
        raise UserError(
            f"model.model_config.compute_dtype: {config.compute_dtype} does not decode here "
            f"(known: {', '.join(DTYPES)}); add --model.model_config.compute_dtype float32"
        )
    return DTYPES[config.compute_dtype]


def _zeros(name: str, shape: tuple[int, int, int, int], dtype: type[np.floating]) -> Parameter:
    return Parameter(Tensor(np.zeros(shape, dtype)), name=name, requires_grad=False)


def _move(source: tuple[LayerCache, ...], target: tuple[LayerCache, ...]) -> None:
    """Copy what both have room for; on the CPU an array of a parameter is its own memory."""
    for old, new in zip(source, target, strict=True):
        for before, after in ((old.keys, new.keys), (old.values, new.values)):
            common = min(before.shape[2], after.shape[2])
            after.asnumpy()[:, :, :common] = before.asnumpy()[:, :, :common]
