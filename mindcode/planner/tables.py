"""A summary and a search as text for a terminal."""

from collections.abc import Sequence
from dataclasses import astuple

from mindcode.config.sizes import GIB
from mindcode.planner.memory import RankMemory
from mindcode.planner.search import Found
from mindcode.planner.speed import PUBLISHED, Estimate
from mindcode.planner.summary import RunSummary, StagePlan
from mindcode.utils.columns import aligned

GB = 1e9


def summary_text(summary: RunSummary) -> str:
    """Return all tables of a summary."""
    parts = [_header(summary), _layout(summary), _memory(summary)]
    if summary.is_training:
        parts.append(_traffic(summary))
    if summary.estimate:
        parts.append(_speed(summary.estimate))
    return "\n\n".join(parts)


def search_text(found: Sequence[Found], devices: int, shown: int) -> str:
    """Return the best candidates, one a line."""
    rows = [
        [
            *(str(degree) for degree in astuple(one.candidate.dims)),
            str(one.candidate.batch_size),
            str(one.candidate.micro_batches),
            one.candidate.recompute,
            "shared" if one.candidate.shards_optimizer else "whole",
            gib(one.memory.total),
            f"{one.estimate.tokens_per_second:,.0f}",
        ]
        for one in found[:shown]
    ]
    heads = ["dp", "tp", "pp", "rows", "micro-batches", "recompute", "optimizer", "peak GiB", "tokens/s/NPU"]
    settings = " ".join(f"--{key} {value}" for key, value in found[0].candidate.settings.items())
    return (
        f"{len(found)} splits over {devices} devices fit; the speed is an estimate\n{table(heads, rows)}\n\n"
        f"the first of them: {settings}"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their heads; a column is as wide as its widest cell, numbers stand to the right."""
    numeric = {column for column in range(len(heads)) if all(_is_number(row[column]) for row in rows)}
    return "\n".join(aligned([heads, *rows], right=numeric))


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removesuffix(" %").isdigit()


def numbers(values: Sequence[int]) -> str:
    """Return `0-7` for consecutive numbers, `0,4` for others."""
    first, last = values[0], values[-1]
    if len(values) > 1 and list(values) == list(range(first, last + 1)):
        return f"{first}-{last}"
    return ",".join(map(str, values))


def gib(size: float) -> str:
    """Return bytes in GiB."""
    return f"{size / GIB:.2f}"


def _header(summary: RunSummary) -> str:
    work = "forward and backward" if summary.is_training else "forward"
    lines = [
        f"{summary.name}, {summary.run_mode}: {summary.parameters:,} parameters on {summary.devices} devices: "
        f"{summary.dims.in_words}" + (", sequence parallel" if summary.uses_sequence_parallel else ""),
        f"{summary.flops_per_token / 1e9:,.4g} GFLOP a token, {work}",
    ]
    if summary.is_training:
        lines.append(
            f"{summary.rows:,} rows = {summary.tokens:,} tokens a step in {summary.micro_batches} micro-batches; "
            f"pipeline bubble {100 * summary.bubble_share:.1f} %"
        )
    if summary.device_target != "Ascend":
        lines.append(
            f"device_target is {summary.device_target}: figures are those of the same split on NPUs, without a speed"
        )
    return "\n".join(lines)


def _layout(summary: RunSummary) -> str:
    rows = []
    for stage in summary.stages:
        places = [place for place in summary.ranks if place.stage == stage.stage]
        machines = sorted({place.machine for place in places})
        rows.append(
            [
                str(stage.stage),
                numbers(stage.ranks),
                numbers(machines),
                f"{numbers(stage.layers)} ({len(stage.layers)})",
                numbers(places[0].tensor_group),
                numbers(places[0].data_group),
                numbers(places[0].pipeline_group),
            ]
        )
    return table(["stage", "ranks", "machines", "layers", "parts with", "replicas with", "stages with"], rows)


COLUMNS = {
    "weights": "parameters",
    "gradients": "gradients",
    "optimizer": "optimizer_state",
    "activations": "activations",
    "other": "other",
    "update": "update",
    "peak": "total",
}


def _memory(summary: RunSummary) -> str:
    rows = [[numbers(stage.ranks), *_sizes(stage.memory), _verdict(stage)] for stage in summary.stages]
    limit = f"memory in GiB, of max_device_memory {gib(summary.memory_limit)}"
    verdict = "fits" if summary.fits else "DOES NOT FIT"
    return f"{limit}: {verdict}\n" + table(["ranks", *COLUMNS, ""], rows)


def _sizes(memory: RankMemory) -> list[str]:
    return [gib(getattr(memory, name)) for name in COLUMNS.values()]


def _verdict(stage: StagePlan) -> str:
    return "fits" if stage.fits else "too much"


def _traffic(summary: RunSummary) -> str:
    """Stages that exchange as much as others share a line; the first of them names its ranks."""
    stages: dict[tuple[str, ...], list[int]] = {}
    ranks: dict[tuple[str, ...], list[str]] = {}
    for stage in summary.stages:
        for message in stage.traffic:
            key = (message.kind, message.purpose, f"{message.count:,}", f"{message.sent_bytes / GB:,.3f}")
            if stage.stage not in stages.setdefault(key, []):
                stages[key].append(stage.stage)
            ranks.setdefault(key, [str(stage.ranks[0]), numbers(message.group)])
    if not stages:
        return "no messages between devices"
    rows = [[numbers(stages[key]), *key, *ranks[key]] for key in stages]
    heads = ["stages", "kind", "for", "number", "GB", "as rank", "with"]
    return "messages of one rank in a step, and the GB that it sends (receives) in all of them\n" + table(heads, rows)


def _speed(estimate: Estimate) -> str:
    errors = ", ".join(
        f"{known.tokens_per_second:.0f} on {known.devices} NPUs by {100 * known.error:+.1f} %" for known in PUBLISHED
    )
    return (
        f"an estimate: {estimate.tokens_per_second:,.0f} tokens/s on each NPU, "
        f"{estimate.step_seconds:,.1f} s a step; no measurement\n"
        f"(calibrated on two published speeds of 34B, which it misses: {errors})"
    )
