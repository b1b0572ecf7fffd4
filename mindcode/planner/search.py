"""Which splits of a training run fit a number of NPUs, the fastest first.

    for candidate in search(config, devices=32):
        candidate.settings, candidate.memory, candidate.estimate

Tried are all products data x tensor x pipeline that give the number of NPUs and keep the rows of a step, with rows of a
micro-batch, recomputation and the sharded optimizer. All else stays as in the configuration.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import GIB, NPUS_PER_MACHINE, rows_per_step
from mindcode.config.validate import problems
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.planner.memory import RankMemory, device_memory, rank_memory
from mindcode.planner.speed import Estimate, estimate
from mindcode.utils.errors import UserError

ROWS = (1, 2, 4, 8)
"""Of a micro-batch."""

RECOMPUTE = {"none": (False, False), "select": (False, True), "all": (True, False)}
"""By name: recompute_config.recompute and select_recompute."""

SETTINGS = (
    "use_parallel",
    "parallel_config.data_parallel",
    "parallel_config.model_parallel",
    "parallel_config.pipeline_stage",
    "parallel_config.use_seq_parallel",
    "parallel_config.micro_batch_num",
    "runner_config.gradient_accumulation_steps",
    "runner_config.batch_size",
    "model.model_config.offset",
    "recompute_config.recompute",
    "recompute_config.select_recompute",
    "parallel.enable_parallel_optimizer",
)
"""Keys in which candidates differ."""


@dataclass(frozen=True)
class Candidate:
    """One way to split a run."""

    dims: ParallelDims
    batch_size: int
    """Rows of a micro-batch in one replica."""
    micro_batches: int
    recompute: str
    """none, select or all."""
    shards_optimizer: bool
    """Whether replicas share the optimizer's state."""
    config: RunConfig

    @property
    def settings(self) -> dict[str, str]:
        """The keys to set, with their values."""
        return {key: str(functools.reduce(getattr, key.split("."), self.config)) for key in SETTINGS}


@dataclass(frozen=True)
class Found:
    """A candidate that fits, and what it takes."""

    candidate: Candidate
    memory: RankMemory
    """Of the rank that needs most."""
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain mappings and numbers."""
        memory = asdict(self.memory) | {"total": self.memory.total}
        return {"settings": self.candidate.settings, "memory": memory, "estimate": asdict(self.estimate)}


def search(config: RunConfig, devices: int) -> list[Found]:
    """Return the candidates that fit, the fastest first; UserError for a run that does not train."""
    if not config.is_training:
        raise UserError(f"run_mode: {config.run_mode}, but only training is searched; use train or finetune")
    found = []
    for candidate in candidates(config, devices):
        memory = most_memory(candidate.config)
        if memory.total <= device_memory(config):
            found.append(Found(candidate, memory, estimate(candidate.config)))
    return sorted(found, key=lambda one: (-one.estimate.tokens_per_second, one.memory.total))


def why_nothing(config: RunConfig, devices: int) -> str:
    """Return why a search found nothing, and what to do."""
    needed = [most_memory(candidate.config).total for candidate in candidates(config, devices)]
    if not needed:
        return (
            f"no split over {devices} devices: layers, heads and the {rows_per_step(config)} rows of a step do not "
            "divide by the degrees of any; take another number of devices, or of rows"
        )
    return (
        f"none of {len(needed)} splits over {devices} devices fits: the leanest needs {min(needed) / GIB:.2f} GiB of "
        f"context.max_device_memory {config.context.max_device_memory}; take more devices, or raise it"
    )


def most_memory(config: RunConfig) -> RankMemory:
    """Return the memory of the rank that needs most: of the first stage or, for the loss, of the last one."""
    dims = ParallelDims.of(config)
    ends = {dims.rank(Coordinates(stage, 0, 0)) for stage in range(dims.pipeline_stage)}
    return max((rank_memory(config, rank) for rank in ends), key=lambda memory: memory.total)


def candidates(config: RunConfig, devices: int) -> Iterator[Candidate]:
    """Yield every split of the same global batch that the rules of a configuration allow."""
    rows = rows_per_step(config)
    for dims in _products(devices):
        shards = (True, False) if dims.data_parallel > 1 else (True,)
        for batch_size, recompute, shard in itertools.product(ROWS, RECOMPUTE, shards):
            micro_batches, rest = divmod(rows, dims.data_parallel * batch_size)
            if rest or not micro_batches:
                continue
            split = _split(config, dims, batch_size, micro_batches, recompute, shard)
            if not any(problems(split)) and not _is_refused(split):
                yield Candidate(dims, batch_size, micro_batches, recompute, shard, split)


def _products(devices: int) -> Iterator[ParallelDims]:
    """Tensor parallelism stays within a machine: it sends most."""
    for parts in _divisors(devices):
        if parts <= NPUS_PER_MACHINE:
            for stages in _divisors(devices // parts):
                yield ParallelDims(devices // parts // stages, parts, stages)


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def _split(
    config: RunConfig, dims: ParallelDims, batch_size: int, micro_batches: int, recompute: str, shards: bool
) -> RunConfig:
    has_stages = dims.pipeline_stage > 1
    whole, cheap = RECOMPUTE[recompute]
    sizes = replace(config.model.model_config, offset=0)
    return replace(
        config,
        use_parallel=dims.world_size > 1,
        micro_batch_interleave_num=1,
        model=replace(config.model, model_config=sizes),
        runner_config=replace(
            config.runner_config,
            batch_size=batch_size,
            gradient_accumulation_steps=1 if has_stages else micro_batches,
        ),
        parallel=replace(config.parallel, enable_parallel_optimizer=shards),
        parallel_config=replace(
            config.parallel_config,
            data_parallel=dims.data_parallel,
            model_parallel=dims.model_parallel,
            pipeline_stage=dims.pipeline_stage,
            use_seq_parallel=dims.model_parallel > 1,
            micro_batch_num=micro_batches if has_stages else 1,
        ),
        recompute_config=replace(config.recompute_config, recompute=whole, select_recompute=cheap),
    )


def _is_refused(config: RunConfig) -> bool:
    """MindSpore 2.9 does not return the gradient of a tied table on two stages that share the optimizer's state."""
    dims = ParallelDims.of(config)
    shares = config.parallel.enable_parallel_optimizer and dims.data_parallel > 1
    return shares and dims.pipeline_stage > 1 and config.model.model_config.tie_word_embeddings
