"""What a dry run found, as text for people and as plain values for JSON.

print(text(config, outcome)); json.dumps(plain(config, outcome))
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step
from mindcode.dryrun.checks import Check
from mindcode.dryrun.depth import stage_layers
from mindcode.dryrun.dry_run import JIT_LEVEL, Failed, Stage, micro_batches
from mindcode.dryrun.figures import Memory, Traffic, memory_of, operators_by_kind, traffic_of
from mindcode.dryrun.ir import STEP
from mindcode.parallel.dims import ParallelDims
from mindcode.planner.memory import GIB, device_memory

LEFT_OUT = (
    "Not in the peak: the kernels' workspace, HCCL's buffers, the driver and CANN's context. It is a lower bound.",
    "Not checked: numbers, speed, and whether the chip has a kernel for each operator and format.",
)
SHOWN = 12
"""Kinds of communication in a table."""


def heading(config: RunConfig, stages: Sequence[Stage]) -> list[str]:
    """Return what was compiled, and in what it differs from the configuration."""
    dims, layers = ParallelDims.of(config), config.model.model_config.num_layers
    lines = [f"{config.trainer.model_name} on {dims.world_size} NPUs: {dims.in_words}"]
    depths = sorted({sum(each.layers.values()) * dims.pipeline_stage for stage in stages for each in stage.compiled})
    if depths != [layers]:
        lines.append(f"compiled with {' and '.join(map(str, depths))} layers instead of {layers}")
    ours, theirs = micro_batches(config), micro_batches_per_step(config)
    if ours != theirs:
        lines.append(
            f"compiled with {ours} micro-batches instead of {theirs}: the peak does not depend on their number"
        )
    if config.context.jit_level != JIT_LEVEL:
        lines.append(f"compiled at jit_level {JIT_LEVEL} instead of {config.context.jit_level}")
    return lines


def of_stages(stages: Sequence[Stage]) -> list[str]:
    """Return a table with a column for each stage."""
    memories = [memory_of(stage) for stage in stages]
    rows = [
        ["", *(f"stage {stage.number}" for stage in stages)],
        ["rank", *(str(stage.rank) for stage in stages)],
        ["layers", *(str(sum(stage_layers(stage.config, stage.number).values())) for stage in stages)],
        ["compile time, s", *(" + ".join(f"{each.answer.compile_seconds:.0f}" for each in s.compiled) for s in stages)],
        ["memory of the compiler, GiB", *(_gib(max(each.answer.host_bytes for each in s.compiled)) for s in stages)],
        ["weights, GiB", *(_gib(memory.weights) for memory in memories)],
        ["optimizer state, GiB", *(_gib(memory.optimizer) for memory in memories)],
        ["gradients, GiB", *(_gib(memory.gradients) for memory in memories)],
        ["activations and the rest, GiB", *(_gib(memory.passing) for memory in memories)],
        ["peak, GiB", *(_gib(memory.peak) for memory in memories)],
        ["max_device_memory", *(_fits(stage.config, memory) for stage, memory in zip(stages, memories, strict=True))],
    ]
    return aligned(rows)


def of_traffic(stage: Stage) -> list[str]:
    """Return what one NPU of a stage communicates in one step."""
    found = traffic_of(stage)
    rows = [[_whom(each), str(each.collective.tensor), f"{each.count} x", _gib(each.bytes) + " GiB"] for each in found]
    more = [f"  and {len(found) - SHOWN} smaller kinds"] if len(found) > SHOWN else []
    total = _gib(sum(each.bytes for each in found))
    return [f"stage {stage.number}, communication of one step, {total} GiB:", *indented(aligned(rows[:SHOWN])), *more]


def of_checks(checks: Sequence[Check]) -> list[str]:
    """Return a line for each check."""
    return indented(aligned([["ok" if check.ok else "NOT OK", check.what, check.numbers] for check in checks]))


def of_failure(failed: Failed) -> list[str]:
    """Return what a compilation said before it failed."""
    return [
        f"stage {failed.stage} does not compile: {failed.answer.error}",
        *indented(failed.answer.trace.splitlines()),
    ]


def plain(stage: Stage, checks: Sequence[Check]) -> dict[str, Any]:
    """Return everything about a stage as values that JSON knows."""
    deepest = stage.compiled[-1]
    return {
        "stage": stage.number,
        "rank": stage.rank,
        "layers": sum(stage_layers(stage.config, stage.number).values()),
        "compiled": [
            {
                "layers": dict(each.layers),
                "graph": each.job.folder,
                "compile_seconds": each.answer.compile_seconds,
                "host_bytes": each.answer.host_bytes,
                "device_bytes": each.answer.device_bytes,
            }
            for each in stage.compiled
        ],
        "memory": {**asdict(memory_of(stage)), "peak": memory_of(stage).peak},
        "traffic": [{**asdict(each), "bytes": each.bytes} for each in traffic_of(stage)],
        "operators": operators_by_kind(deepest),
        "parameters": {name: asdict(tensor) for name, tensor in deepest.graph.parameters.items()},
        "checks": [check._asdict() for check in checks],
    }


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with columns of one width, the first one left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines moved to the right."""
    return [f"  {line}" for line in lines]


def _whom(traffic: Traffic) -> str:
    collective = traffic.collective
    when = "once a step" if collective.phase == STEP else collective.phase
    ranks = ", ".join(map(str, collective.group)) if len(collective.group) <= 8 else f"{len(collective.group)} ranks"
    return (
        f"{collective.kind} {when}, ranks {ranks}"
        if len(collective.group) > 1
        else f"{collective.kind} {when}, {ranks}"
    )


def _fits(config: RunConfig, memory: Memory) -> str:
    room = device_memory(config) - memory.peak
    how = f"fits, {_gib(room)} GiB left" if room >= 0 else f"DOES NOT FIT, {_gib(-room)} GiB too much"
    return f"{config.context.max_device_memory}: {how}"


def _gib(count: float) -> str:
    return f"{count / GIB:.2f}"
