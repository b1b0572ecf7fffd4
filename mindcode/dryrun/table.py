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
from mindcode.dryrun.dry_run import Failed, Stage, jit_level, micro_batches
from mindcode.dryrun.figures import Memory, Traffic, memory_of, operators_by_kind, parameters_of, traffic_of
from mindcode.parallel.dims import ParallelDims
from mindcode.planner.memory import device_memory
from mindcode.planner.tables import gib
from mindcode.utils.columns import aligned

LEFT_OUT = (
    "Not in the peak: the kernels' workspace, HCCL's buffers, the driver and CANN's context. It is a lower bound.",
    "Not checked: numbers, speed, and whether the chip has a kernel for each operator and format.",
)
SHOWN = 12
"""Kinds of communication in a table."""


def heading(config: RunConfig, stages: Sequence[Stage]) -> list[str]:
    """Return what was compiled, and in what it differs from the configuration."""
    dims = ParallelDims.of(config)
    npus = f"{dims.world_size} NPU{'s' if dims.world_size > 1 else ''}"
    lines = [f"{config.trainer.model_name} on {npus}: {dims.in_words}"]
    depths = sorted({sum(each.layers.values()) for stage in stages for each in stage.compiled})
    wanted = sorted({sum(stage_layers(config, stage.number).values()) for stage in stages})
    if depths != wanted:
        there, here = (" and ".join(map(str, numbers)) for numbers in (depths, wanted))
        meant = sorted({sum(stage_layers(stage.config, stage.number).values()) for stage in stages})
        only = "" if meant == wanted else "; the figures, and whether they fit, are of these alone"
        lines.append(f"compiled with {there} layers of a stage instead of {here}{only}")
    ours, theirs = micro_batches(config), micro_batches_per_step(config)
    if ours != theirs:
        lines.append(
            f"compiled with {ours} micro-batches instead of {theirs}: the peak does not depend on their number"
        )
    if config.context.jit_level != jit_level(config):
        lines.append(f"compiled at jit_level {jit_level(config)} instead of {config.context.jit_level}")
    return lines


def of_stages(stages: Sequence[Stage]) -> list[str]:
    """Return a table with a column for each stage."""
    memories = [memory_of(stage) for stage in stages]
    rows = [
        ["", *(f"stage {stage.number}" for stage in stages)],
        ["rank", *(str(stage.rank) for stage in stages)],
        ["layers", *(str(sum(stage_layers(stage.config, stage.number).values())) for stage in stages)],
        ["compile time, s", *(" + ".join(f"{each.answer.compile_seconds:.0f}" for each in s.compiled) for s in stages)],
        ["memory of the compiler, GiB", *(gib(max(each.answer.host_bytes for each in s.compiled)) for s in stages)],
        *([f"{use}, GiB", *(gib(memory.resident[use]) for memory in memories)] for use in memories[0].resident),
        ["activations and the rest, GiB", *(gib(memory.passing) for memory in memories)],
        ["peak, GiB", *(gib(memory.peak) for memory in memories)],
        ["max_device_memory", *(_fits(stage.config, memory) for stage, memory in zip(stages, memories, strict=True))],
    ]
    return aligned(rows)


def of_traffic(stage: Stage, graph: str) -> list[str]:
    """Return what one NPU of a stage communicates in one step."""
    found = traffic_of(stage, graph)
    rows = [[_whom(each), str(each.collective.tensor), f"{each.count} x", gib(each.bytes) + " GiB"] for each in found]
    more = [f"  and {len(found) - SHOWN} smaller kinds"] if len(found) > SHOWN else []
    total = gib(sum(each.bytes for each in found))
    title = f"stage {stage.number}, communication of one {graph}, {total} GiB:"
    return [title, *indented(aligned(rows[:SHOWN])), *more] if found else []


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
    deepest, memory = stage.compiled[-1], memory_of(stage)
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
        "memory": {**asdict(memory), "peak": memory.peak},
        "traffic": {
            name: [{**asdict(each), "bytes": each.bytes} for each in traffic_of(stage, name)] for name in deepest.graphs
        },
        "operators": {name: operators_by_kind(graph) for name, graph in deepest.graphs.items()},
        "parameters": {name: asdict(tensor) for name, tensor in parameters_of(deepest).items()},
        "checks": [check._asdict() for check in checks],
    }


def plain_failure(failed: Failed) -> dict[str, Any]:
    """Return what a compilation said before it failed, in the place of its stage."""
    answer = failed.answer
    return {"stage": failed.stage, "rank": failed.job.rank, "error": answer.error, "trace": answer.trace}


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines moved to the right."""
    return [f"  {line}" for line in lines]


def _whom(traffic: Traffic) -> str:
    collective = traffic.collective
    if collective.kind in ("Send", "Receive"):
        direction = "to" if collective.kind == "Send" else "from"
        return f"{collective.kind} {collective.phase}, {direction} rank {collective.group[0]}"
    return f"{collective.kind} {collective.phase}, ranks {_runs(collective.group)}"


def _runs(ranks: Sequence[int]) -> str:
    """Return ranks in words: 0-7 for neighbours, 0-24 in steps of 8 for others."""
    step = ranks[1] - ranks[0] if len(ranks) > 1 else 1
    if len(ranks) < 3 or tuple(ranks) != tuple(range(ranks[0], ranks[-1] + 1, step)):
        return ", ".join(map(str, ranks))
    return f"{ranks[0]}-{ranks[-1]}" + (f" in steps of {step}" if step > 1 else "")


def _fits(config: RunConfig, memory: Memory) -> str:
    room = device_memory(config) - memory.peak
    how = f"fits, {gib(room)} GiB left" if room >= 0 else f"DOES NOT FIT, {gib(-room)} GiB too much"
    return f"{config.context.max_device_memory}: {how}"
