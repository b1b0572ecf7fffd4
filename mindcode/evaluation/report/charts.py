"""Charts as inline SVG, drawn here: no plotting library, no script needed to read them.

Every chart is drawn twice, wide and narrow, and the style sheet shows the one that fits, so that labels stay legible
on a phone. Colours come from the page's style sheet through classes.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

_MAX_POINTS = 500
_MARGIN_LEFT, _MARGIN_RIGHT, _MARGIN_TOP, _MARGIN_BOTTOM = 54, 14, 12, 28


@dataclass(frozen=True)
class Series:
    """A named line; `style` is its class in the style sheet."""

    name: str
    points: tuple[Point, ...]
    style: str


@dataclass(frozen=True)
class Size:
    """Width and height in user units, and the class that shows or hides the drawing."""

    width: int
    height: int
    style: str


@dataclass(frozen=True)
class Frame:
    """The mapping from data to drawing."""

    size: Size
    x_range: Point
    y_range: Point

    def x(self, value: float) -> float:
        """Horizontal position of a value."""
        low, high = self.x_range
        return _MARGIN_LEFT + (value - low) / (high - low) * (self.size.width - _MARGIN_LEFT - _MARGIN_RIGHT)

    def y(self, value: float) -> float:
        """Vertical position of a value, downward."""
        low, high = self.y_range
        bottom = self.size.height - _MARGIN_BOTTOM
        return bottom - (value - low) / (high - low) * (bottom - _MARGIN_TOP)


def line_chart(
    title: str, series: Sequence[Series], sizes: Sequence[Size], notes: Sequence[str] = (), floor: float | None = None
) -> str:
    """Return one SVG for each size; `notes`, one for each point of the first series, are shown under the pointer.

    The vertical axis begins at `floor`, or where the points do.
    """
    drawn = [line for line in series if line.points]
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    low, high = _padded(min(ys) if floor is None else min(floor, *ys), max(ys), 0.06)
    ranges = _padded(min(xs), max(xs), 0.0), (low if floor is None else min(floor, *ys), high)
    return "".join(_drawing(title, drawn, Frame(size, *ranges), notes) for size in sizes)


def thinned(points: Sequence[Point], limit: int = _MAX_POINTS) -> tuple[Point, ...]:
    """Return at most `limit` points, each the mean of its neighbourhood."""
    if len(points) <= limit:
        return tuple(points)
    width = math.ceil(len(points) / limit)
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return tuple((group[-1][0], sum(y for _, y in group) / len(group)) for group in groups)


def smoothed(points: Sequence[Point], weight: float) -> tuple[Point, ...]:
    """Return the exponential moving average, corrected for its start; `weight` in [0, 1) is that of the past."""
    out, mean, total = [], 0.0, 0.0
    for x, y in points:
        mean, total = weight * mean + (1 - weight) * y, weight * total + (1 - weight)
        out.append((x, mean / total))
    return tuple(out)


def short(value: float) -> str:
    """Write a number in few characters: 1.2M, 340, 0.05, 2e-5."""
    if 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.4g}"


def _padded(low: float, high: float, share: float) -> Point:
    if high == low:
        return low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return low - share * (high - low), high + share * (high - low)


def _drawing(title: str, series: Sequence[Series], frame: Frame, notes: Sequence[str]) -> str:
    size = frame.size
    hover = [[round(frame.x(x), 1), round(frame.y(y), 1)] for x, y in series[0].points] if notes else []
    data = escape(json.dumps({"points": hover, "notes": list(notes)}), quote=True) if notes else ""
    parts = [
        f'<svg class="chart {size.style}" viewBox="0 0 {size.width} {size.height}" role="img" '
        f'aria-label="{escape(title, quote=True)}"' + (f' data-hover="{data}">' if notes else ">"),
        *_grid(frame),
        *(_line(line, frame) for line in series),
        '<g class="pointer" visibility="hidden"><line/><circle r="4"/></g>' if notes else "",
        "</svg>",
    ]
    return "".join(parts)


def _grid(frame: Frame) -> list[str]:
    size = frame.size
    bottom, right = size.height - _MARGIN_BOTTOM, size.width - _MARGIN_RIGHT
    rows = [
        f'<line class="grid" x1="{_MARGIN_LEFT}" x2="{right}" y1="{frame.y(v):.1f}" y2="{frame.y(v):.1f}"/>'
        f'<text class="tick" x="{_MARGIN_LEFT - 6}" y="{frame.y(v) + 4:.1f}" text-anchor="end">{_tick(v)}</text>'
        for v in ticks(*frame.y_range, count=max(2, size.height // 55))
    ]
    columns = [
        f'<text class="tick" x="{frame.x(v):.1f}" y="{bottom + 18}" text-anchor="middle">{short(v)}</text>'
        for v in ticks(*frame.x_range, count=max(2, size.width // 90))
        if v.is_integer() or frame.x_range[1] - frame.x_range[0] < 2
    ]
    return [*rows, *columns, f'<line class="axis" x1="{_MARGIN_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>']


def _tick(value: float) -> str:
    """Write a number as `short` does, with a digit more: neighbouring ticks are alike."""
    return f"{value:.5g}" if 0.01 <= abs(value) < 1e4 else short(value)


def _line(line: Series, frame: Frame) -> str:
    places = [(frame.x(x), frame.y(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places) if len(places) <= 12 else ""
    return f'<g class="{line.style}"><polyline points="{path}"/>{dots}</g>'


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers within [low, high]."""
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= raw)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
