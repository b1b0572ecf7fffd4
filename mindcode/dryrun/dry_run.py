"""A dry run: which ranks are compiled how, and what they answered.

stages = dry_run(config, Request(path, overrides, stages=(0, 1), layers=None))
stages[0].peak_bytes
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.dryrun.depth import Layers, Trend, first, overrides, sample, stage_layers, trend
from mindcode.dryrun.ir import Graph, newest_graph, read_graph
from mindcode.dryrun.job import Answer, Job
from mindcode.dryrun.runner import run
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError

MICRO_BATCHES = 4
"""Micro-batches of a compilation: the peak does not depend on their number once every stage has one to work on."""
JIT_LEVEL = "O1"
"""MindSpore's own back end: the stub has nothing to say to CANN's graph engine, O2."""
_HOST_BASE, _HOST_PER_LAYER = 1 << 30, 100 << 20
"""Memory that a compilation takes on this machine: MindSpore itself, and each layer of the network."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    config: Path
    overrides: tuple[tuple[str, str], ...]
    stages: tuple[int, ...]
    layers: str | None
    """A number of layers of the network, or "full"; None compiles a sample and extrapolates."""


@dataclass(frozen=True)
class Compiled:
    """One compilation."""

    layers: Layers
    job: Job
    answer: Answer
    graph: Graph | None
    """None when it failed."""


@dataclass(frozen=True)
class Stage:
    """What is known of a pipeline stage: of its first rank, and all its ranks are alike."""

    number: int
    rank: int
    layers: Layers
    """The layers that the figures are about."""
    compiled: tuple[Compiled, ...]

    @property
    def failure(self) -> Compiled | None:
        """The first compilation that failed."""
        return next((each for each in self.compiled if each.graph is None), None)

    @property
    def peak_bytes(self) -> int:
        """Peak of the device memory."""
        return round(self.trend(lambda each: each.answer.device_bytes).at(self.layers))

    def trend(self, value: Callable[[Compiled], float]) -> Trend:
        """Return how a value of a compilation depends on the layers."""
        return trend([value(each) for each in self.compiled], [each.layers for each in self.compiled])


def dry_run(config: RunConfig, request: Request) -> tuple[Stage, ...]:
    """Compile each stage that is asked for; UserError for a number of layers that does not fit the stages."""
    dims = ParallelDims.of(config)
    folder = Path(config.output_dir).resolve() / "dryrun" / request.config.stem
    shutil.rmtree(folder, ignore_errors=True)
    tasks = [
        (stage, layers, _job(config, request, stage, layers, folder / f"stage_{stage}_depth_{number}"))
        for stage in request.stages
        for number, layers in enumerate(_depths(config, request, stage))
    ]
    deepest = max(sum(layers.values()) for _, layers, _ in tasks) * dims.pipeline_stage
    answers = run([job for *_, job in tasks], dims.world_size, _HOST_BASE + _HOST_PER_LAYER * deepest)
    compiled = [
        (stage, Compiled(layers, job, answer, None if answer.error else read_graph(newest_graph(Path(job.folder)))))
        for (stage, layers, job), answer in zip(tasks, answers, strict=True)
    ]
    return tuple(
        _stage(config, request, number, tuple(each for stage, each in compiled if stage == number))
        for number in request.stages
    )


def micro_batches(config: RunConfig) -> int:
    """Return how many micro-batches are compiled."""
    return min(micro_batches_per_step(config), max(MICRO_BATCHES, ParallelDims.of(config).pipeline_stage))


def _stage(config: RunConfig, request: Request, number: int, compiled: tuple[Compiled, ...]) -> Stage:
    layers = compiled[0].layers if request.layers else stage_layers(config, number)
    return Stage(number, ParallelDims.of(config).pipeline_group(0)[number], layers, compiled)


def _depths(config: RunConfig, request: Request, stage: int) -> tuple[Layers, ...]:
    layers, stages = stage_layers(config, stage), ParallelDims.of(config).pipeline_stage
    if request.layers is None:
        return sample(layers)
    if request.layers == "full":
        return (layers,)
    count = int(request.layers)
    if count == 0 or count % stages:
        raise UserError(f"--layers {count}: every one of {stages} pipeline stages needs as many; give a multiple of it")
    return (first(layers, count // stages),)


def _job(config: RunConfig, request: Request, stage: int, layers: Layers, folder: Path) -> Job:
    dims = ParallelDims.of(config)
    count = str(micro_batches(config))
    key = "parallel_config.micro_batch_num" if dims.pipeline_stage > 1 else "runner_config.gradient_accumulation_steps"
    shape = () if request.layers == "full" else overrides(layers, dims.pipeline_stage)
    fixed = (
        ("context.device_target", "Ascend"),
        ("context.device_id", "0"),
        ("context.save_graphs", "False"),
        ("context.jit_config.jit_level", JIT_LEVEL),
        (key, count),
    )
    every = (*request.overrides, *shape, *fixed)
    return Job(str(request.config.resolve()), every, dims.pipeline_group(0)[stage], str(folder))
