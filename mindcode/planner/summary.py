"""All that is known of a run before it starts, in one piece: what `mindcode plan` prints, draws and writes as JSON.

summary = summarize(config)
json.dumps(summary.to_dict())
"""

from dataclasses import asdict, dataclass
from typing import Any

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import bubble_share, micro_batches_per_step, processes_needed, rows_per_step
from mindcode.model.stats import forward_flops_per_token, num_parameters, train_flops_per_token
from mindcode.parallel.dims import ParallelDims
from mindcode.planner.layout import RankPlace, rank_table
from mindcode.planner.memory import RankMemory, device_memory, rank_memory
from mindcode.planner.speed import Estimate, estimate
from mindcode.planner.traffic import Message, stage_traffic


@dataclass(frozen=True)
class StagePlan:
    """What is the same for all ranks of a stage."""

    stage: int
    ranks: tuple[int, ...]
    layers: tuple[int, ...]
    memory: RankMemory
    fits: bool
    """Whether the memory is within the limit."""
    traffic: tuple[Message, ...]
    """Of its first rank, in one step."""


@dataclass(frozen=True)
class RunSummary:
    """A run on NPUs."""

    name: str
    """trainer.model_name."""
    run_mode: str
    is_training: bool
    device_target: str
    devices: int
    dims: ParallelDims
    uses_sequence_parallel: bool
    parameters: int
    """Of the whole model."""
    flops_per_token: float
    """Forward and backward; in prediction, forward."""
    rows: int
    """Of one step, over all devices."""
    tokens: int
    """Of one step, over all devices."""
    micro_batches: int
    bubble_share: float
    memory_limit: int
    """context.max_device_memory, in bytes."""
    stages: tuple[StagePlan, ...]
    ranks: tuple[RankPlace, ...]
    estimate: Estimate | None
    """Only of training on NPUs."""

    @property
    def fits(self) -> bool:
        """Whether every rank's memory is within the limit."""
        return all(stage.fits for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return plain mappings, lists and numbers, with the sums."""
        plain = asdict(self)
        plain["fits"] = self.fits
        for stage, row in zip(self.stages, plain["stages"], strict=True):
            row["memory"]["total"] = stage.memory.total
            for message, columns in zip(stage.traffic, row["traffic"], strict=True):
                columns["sent_bytes"] = message.sent_bytes
        return plain


def summarize(config: RunConfig) -> RunSummary:
    """Return the summary of a checked configuration; UserError for a split that does not divide."""
    dims, model, ranks = ParallelDims.of(config), config.model.model_config, rank_table(config)
    flops = train_flops_per_token if config.is_training else forward_flops_per_token
    return RunSummary(
        name=config.trainer.model_name,
        run_mode=config.run_mode,
        is_training=config.is_training,
        device_target=config.context.device_target,
        devices=processes_needed(config),
        dims=dims,
        uses_sequence_parallel=config.parallel_config.use_seq_parallel and dims.model_parallel > 1,
        parameters=num_parameters(model),
        flops_per_token=flops(model, model.seq_length),
        rows=rows_per_step(config),
        tokens=rows_per_step(config) * model.seq_length,
        micro_batches=micro_batches_per_step(config),
        bubble_share=bubble_share(config),
        memory_limit=device_memory(config),
        stages=tuple(_stage(config, stage, ranks) for stage in range(dims.pipeline_stage)),
        ranks=ranks,
        estimate=estimate(config) if config.is_training and config.context.device_target == "Ascend" else None,
    )


def _stage(config: RunConfig, stage: int, ranks: tuple[RankPlace, ...]) -> StagePlan:
    own = [place for place in ranks if place.stage == stage]
    memory = rank_memory(config, own[0].rank)
    return StagePlan(
        stage=stage,
        ranks=tuple(place.rank for place in own),
        layers=own[0].layers,
        memory=memory,
        fits=memory.total <= device_memory(config),
        traffic=stage_traffic(config, stage) if config.is_training else (),
    )
