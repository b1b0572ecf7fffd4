"""A summary as a picture: the pipeline's schedule above, who sits where and what it holds below.

svg = draw(summarize(config))
"""

from collections.abc import Iterable
from html import escape

from mindcode.config.sizes import GIB
from mindcode.planner.layout import RankPlace
from mindcode.planner.schedule import FORWARD, Turn, timeline
from mindcode.planner.summary import RunSummary, StagePlan

WIDTH, MARGIN, LABEL = 960, 30, 90
LANE, CELL = 26, 30
DRAWN_AT_LEAST = 8
"""Micro-batches in the picture, or as many as the run has; more stages need more, until one has seen its busy time."""

STYLE = """text { font: 12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1d232b; }
.h { font-size: 16px; font-weight: 650; } .s { fill: #5d6773; } .n { font-size: 10px; text-anchor: middle; }
.forward { fill: #8fb8e6; } .backward { fill: #e8b27a; } .rank { fill: #eef1f4; stroke: #9aa3ad; }
.fits { fill: #5b9a62; } .over { fill: #c0392b; } .frame { fill: none; stroke: #9aa3ad; }"""


def draw(summary: RunSummary) -> str:
    """Return the picture as one SVG document."""
    schedule = _schedule(summary) if summary.is_training else []
    top = MARGIN + (len(summary.stages) * LANE + 70 if schedule else 0)
    layout, height = _layout(summary, top)
    title = f"{summary.name} on {summary.devices} devices: {summary.dims.in_words}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            *schedule,
            *layout,
            "</svg>\n",
        ]
    )


def _schedule(summary: RunSummary) -> list[str]:
    """Every stage's passes from left to right; the white between them is the bubble."""
    stages = summary.dims.pipeline_stage
    drawn = min(summary.micro_batches, max(DRAWN_AT_LEAST, 2 * stages))
    turns = timeline(stages, drawn)
    unit = (WIDTH - 2 * MARGIN - LABEL) / max(turn.end for turn in turns)
    note = f"{drawn} of {summary.micro_batches} micro-batches" if drawn < summary.micro_batches else "a whole step"
    lines = [
        _text(MARGIN, MARGIN + 10, f"{summary.name}: one forward, one backward", "h"),
        _text(
            MARGIN,
            MARGIN + 30,
            f"{note}: forward blue, backward orange; bubble of the step {100 * summary.bubble_share:.1f} %",
            "s",
        ),
    ]
    lines += [_text(MARGIN, _lane(stage) + 16, f"stage {stage}") for stage in range(stages)]
    return lines + [shape for turn in turns for shape in _turn(turn, unit)]


def _lane(stage: int) -> int:
    return MARGIN + 42 + stage * LANE


def _turn(turn: Turn, unit: float) -> Iterable[str]:
    left, width = MARGIN + LABEL + turn.start * unit, (turn.end - turn.start) * unit
    style = "forward" if turn.kind == FORWARD else "backward"
    yield f'<rect class="{style}" x="{left:.1f}" y="{_lane(turn.stage)}" width="{width - 1:.1f}" height="{LANE - 4}"/>'
    if width > 6 * len(str(turn.micro_batch)) + 2:
        yield _text(left + width / 2, _lane(turn.stage) + 15, str(turn.micro_batch), "n")


def _layout(summary: RunSummary, top: int) -> tuple[list[str], int]:
    """A line a stage: its layers, its ranks by replica, its memory as a part of the limit."""
    lines, y = [_text(MARGIN, top + 10, "ranks, by stage and replica", "h")], top + 24
    for stage in summary.stages:
        places = [place for place in summary.ranks if place.stage == stage.stage]
        boxes, below = _ranks(places, y)
        lines += [_text(MARGIN, y + 15, f"stage {stage.stage}"), *boxes, *_memory(stage, summary.memory_limit, y)]
        y = below
    return lines, y + MARGIN


BAR = 200
PER_LINE = 16


def _ranks(places: list[RankPlace], y: int) -> tuple[list[str], int]:
    lines, row = [], 0
    for index, place in enumerate(places):
        row, column = divmod(index, PER_LINE)
        x = MARGIN + LABEL + column * CELL + (6 * place.replica if len(places) <= PER_LINE else 0)
        lines.append(f'<rect class="rank" x="{x}" y="{y + row * LANE}" width="{CELL - 3}" height="{LANE - 5}" rx="3"/>')
        lines.append(_text(x + (CELL - 3) / 2, y + row * LANE + 14, str(place.rank), "n"))
    return lines, y + (row + 1) * LANE + 6


def _memory(stage: StagePlan, limit: int, y: int) -> list[str]:
    left, used = WIDTH - MARGIN - BAR, min(stage.memory.total / limit, 1.0)
    words = f"layers {stage.layers[0]}-{stage.layers[-1]}, {stage.memory.total / GIB:.1f} of {limit / GIB:.0f} GiB"
    return [
        f'<rect class="frame" x="{left}" y="{y}" width="{BAR}" height="8"/>',
        f'<rect class="{"fits" if stage.fits else "over"}" x="{left}" y="{y}" width="{used * BAR:.1f}" height="8"/>',
        _text(left, y + 21, words, "s"),
    ]


def _text(x: float, y: float, words: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
