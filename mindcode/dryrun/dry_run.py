"""A dry run: which ranks are compiled how, and what they answered.

stages, failures = dry_run(config, Request(path, overrides, stages=(0, 1), layers=None))
stages[0].compiled[0].answer.device_bytes
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.dryrun.depth import Layers, Trend, alike, alone, first, overrides, sample, stage_layers, trend
from mindcode.dryrun.ir import Graph, dumped_graphs, read_graph
from mindcode.dryrun.job import Answer, Job
from mindcode.dryrun.runner import run
from mindcode.parallel.dims import ParallelDims
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup

MICRO_BATCHES = 4
"""Micro-batches of a compilation: the peak does not depend on their number once every stage has one to work on."""
INSTEAD = {"O2": "O1"}
"""Levels of the compiler that others stand for: O2 is CANN's own graph engine, which a stub cannot be."""
GRAPHS = {"train": ("step",), "finetune": ("step",), "predict": ("prefill", "decode")}
"""What is compiled, by run_mode, in this order."""
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
    """One compilation that went well."""

    layers: Layers
    job: Job
    answer: Answer
    graphs: Mapping[str, Graph]
    """By the names in GRAPHS."""


@dataclass(frozen=True)
class Failed:
    """One that did not."""

    stage: int
    job: Job
    answer: Answer


@dataclass(frozen=True)
class Stage:
    """What is known of a pipeline stage: of its first rank, and all its ranks are alike."""

    number: int
    rank: int
    config: RunConfig
    """What the figures are about: the given configuration, or what --layers makes of it."""
    compiled: tuple[Compiled, ...]
    """In order of depth."""

    def trend(self, values: Sequence[float]) -> Trend:
        """Return how a value depends on the layers, from that of each compilation."""
        return trend(values, [each.layers for each in self.compiled])

    def with_all_layers(self, values: Sequence[float]) -> float:
        """Return a value for the layers of the stage, from that of each compilation."""
        return self.trend(values).at(stage_layers(self.config, self.number))


class Outcome(NamedTuple):
    """What a dry run found."""

    stages: tuple[Stage, ...]
    """Those that compiled."""
    failures: tuple[Failed, ...]


class _Task(NamedTuple):
    stage: int
    layers: Layers
    job: Job


def dry_run(config: RunConfig, request: Request) -> Outcome:
    """Compile each stage that is asked for.

    Raises UserError for a number of layers that does not fit the stages, and for training on one NPU.
    """
    dims, names = ParallelDims.of(config), lookup(GRAPHS, config.run_mode, "run_mode")
    if dims.world_size == 1 and config.run_mode != "predict":
        raise UserError(
            f"use_parallel: {config.use_parallel}, and one NPU, but a dry run of training needs two or more; "
            "give --use_parallel True and degrees"
        )
    folder = Path(config.output_dir).resolve() / "dryrun" / request.config.stem
    tasks = [
        _Task(stage, layers, _job(config, request, stage, layers, folder / f"stage_{stage}_depth_{number}"))
        for stage in request.stages
        for number, layers in enumerate(_depths(config, request, stage))
    ]
    deepest = max(sum(task.layers.values()) for task in tasks) * (dims.pipeline_stage if request.layers else 1)
    with _alone_in(folder):
        answers = run([task.job for task in tasks], dims.world_size, _HOST_BASE + _HOST_PER_LAYER * deepest)
    pairs = list(zip(tasks, answers, strict=True))
    failures = tuple(Failed(task.stage, task.job, answer) for task, answer in pairs if answer.error)
    broken = {failed.stage for failed in failures}
    stages = []
    for number in (stage for stage in request.stages if stage not in broken):
        compiled = tuple(_compiled(task, answer, names) for task, answer in pairs if task.stage == number)
        stages.append(Stage(number, dims.pipeline_group(0)[number], _meant(config, request, compiled), compiled))
    return Outcome(tuple(stages), failures)


def micro_batches(config: RunConfig) -> int:
    """Return how many micro-batches are compiled."""
    return min(micro_batches_per_step(config), max(MICRO_BATCHES, ParallelDims.of(config).pipeline_stage))


def jit_level(config: RunConfig) -> str:
    """Return the level that is compiled."""
    return INSTEAD.get(config.context.jit_level, config.context.jit_level)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Empty the folder and keep other dry runs out of it; UserError when one is at work there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another dry run is at work there; give this one another --output_dir") from None
        shutil.rmtree(folder, ignore_errors=True)
        yield


def _meant(config: RunConfig, request: Request, compiled: Sequence[Compiled]) -> RunConfig:
    if request.layers in (None, "full"):
        return config
    layers, stages = compiled[0].layers, ParallelDims.of(config).pipeline_stage
    shape = overrides(layers, alike(layers, stages))
    return load_config(request.config, (*request.overrides, *shape))


def _compiled(task: _Task, answer: Answer, names: Sequence[str]) -> Compiled:
    files = dumped_graphs(Path(task.job.folder), len(names))
    graphs = {name: read_graph(file) for name, file in zip(names, files, strict=True)}
    return Compiled(task.layers, task.job, answer, graphs)


def _depths(config: RunConfig, request: Request, stage: int) -> tuple[Layers, ...]:
    layers, stages = stage_layers(config, stage), ParallelDims.of(config).pipeline_stage
    if request.layers is None:
        return sample(layers)
    if request.layers == "full":
        return (layers,)
    count, whole = int(request.layers), config.model.model_config.num_layers
    if count > whole:
        raise UserError(f"--layers {count}: num_layers is {whole}; give at most that, or full")
    if count == 0 or count % stages:
        raise UserError(f"--layers {count}: every one of {stages} pipeline stages needs as many; give a multiple of it")
    return (first(layers, count // stages),)


def _shape(request: Request, layers: Layers, stages: int, stage: int) -> tuple[tuple[str, str], ...]:
    """Return the keys that set the depth."""
    if request.layers == "full":
        return ()
    return overrides(layers, alike(layers, stages) if request.layers else alone(layers, stages, stage))


def _job(config: RunConfig, request: Request, stage: int, layers: Layers, folder: Path) -> Job:
    dims = ParallelDims.of(config)
    count = str(micro_batches(config))
    key = "parallel_config.micro_batch_num" if dims.pipeline_stage > 1 else "runner_config.gradient_accumulation_steps"
    fixed = (
        ("context.device_target", "Ascend"),
        ("context.device_id", "0"),
        ("context.save_graphs", "False"),
        ("context.jit_config.jit_level", jit_level(config)),
        (key, count),
    )
    every = (*request.overrides, *_shape(request, layers, dims.pipeline_stage, stage), *fixed)
    return Job(str(request.config.resolve()), every, dims.pipeline_group(0)[stage], str(folder))
