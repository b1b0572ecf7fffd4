"""How the work of a training run was shared: a sentence, and the ranks as a grid of stages, copies and parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from mindcode.evaluation.report.collect import Step
from mindcode.evaluation.report.markup import text

_EXPLANATION = (
    "Each number is a process. A row is a pipeline stage, a box is one copy of it; the processes in a box hold the "
    "parts of its tensors."
)


def split_section(split: Mapping[str, Any] | None, steps: Sequence[Step]) -> str:
    """Return what manifest.json says about the processes; nothing for a run of one."""
    if not split or split["processes"] == 1:
        return ""
    rows = "".join(_stage(number, stage) for number, stage in enumerate(split["stages"]))
    return (
        f'<h2>How the work was shared</h2><div class="card"><p>{text(_sentence(split, steps))}</p>'
        f'<div class="split">{rows}</div><p class="soft">{text(_EXPLANATION)}</p></div>'
    )


def _sentence(split: Mapping[str, Any], steps: Sequence[Step]) -> str:
    copies, parts, stages = split["data_parallel"], split["model_parallel"], split["pipeline_stage"]
    said = []
    if copies > 1:
        sharded = ", which share the optimizer state" if split["sharded_optimizer"] else ""
        said.append(f"{copies} copies of the model{sharded}")
    if parts > 1:
        slices = ", norms on slices of the sequence" if split["sequence_slices"] else ""
        said.append(f"tensors in {parts} parts{slices}")
    if stages > 1:
        idle = (
            f", in theory idle {100 * steps[-1].bubble_share:.0f} % of a step"
            if steps and steps[-1].bubble_share
            else ""
        )
        said.append(f"layers in {stages} stages with {split['micro_batches']} micro-batches{idle}")
    return f"{split['processes']} processes: {'; '.join(said)}."


def _stage(number: int, stage: Mapping[str, Any]) -> str:
    first, last = stage["layers"]
    copies = "".join(
        f'<div class="copy">{"".join(f"<b>{text(rank)}</b>" for rank in copy)}</div>' for copy in stage["ranks"]
    )
    layers = f"layer {first}" if first == last else f"layers {first}–{last}"
    return f'<div class="stage"><span>stage {number}<br>{layers}</span>{copies}</div>'
