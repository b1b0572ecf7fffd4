"""The training part of the page: loss, learning rate, speed, utilization, memory."""

from statistics import median

from mindcode.evaluation.report.charts import Point, Series, Size, line_chart, short, smoothed, thinned
from mindcode.evaluation.report.collect import RunRecord, Step
from mindcode.evaluation.report.markup import missing, text, tile

_LARGE = (Size(900, 300, "wide"), Size(360, 260, "narrow"))
_SMALL = (Size(440, 170, "wide"), Size(360, 150, "narrow"))
_SMOOTH_FROM = 20
_PAST_WEIGHT = 0.7
_MANY = 500
_CURVES = (
    ("Learning rate", "lr", 1.0),
    ("Speed, tokens/s", "tokens_per_second", 1.0),
    ("Model FLOPs utilization, %", "mfu", 100.0),
    ("Peak memory, GB", "peak_memory_bytes", 1e-9),
)
"""Title, what is drawn, and in how many of which unit."""


def training_tiles(record: RunRecord) -> list[str]:
    """Return the figures of a training run; none without one."""
    losses = [step.loss for step in record.steps if step.loss is not None]
    tiles = []
    if losses:
        ends = max(1, len(losses) // 10)
        first, last = sum(losses[:ends]) / ends, sum(losses[-ends:]) / ends
        note = f"{len(record.steps)} steps" + (f", {short(_tokens(record))} tokens" if _tokens(record) else "")
        tiles.append(tile("Training loss", f"{first:.2f} → {last:.2f}", note))
    if record.evaluations:
        (_, first), (step, last) = record.evaluations[0], record.evaluations[-1]
        value = f"{first:.2f} → {last:.2f}" if len(record.evaluations) > 1 else f"{last:.2f}"
        tiles.append(tile("Evaluation loss", value, f"on rows not trained on, last at step {step}"))
    for name, points in record.benchmarks.items():
        last_step, score = points[-1]
        tiles.append(tile(name, f"{100 * score:.1f} %", f"of the answers after step {last_step:.0f}"))
    tiles += _usage_tiles(record)
    return tiles


def _usage_tiles(record: RunRecord) -> list[str]:
    """Speed, utilization and memory, where they were measured; the first step compiles and says little."""
    steps, peak = record.steps, record.manifest.get("peak_tflops_per_process")
    speeds, own = _values(steps, "tokens_per_second"), _values(steps, "tokens_per_second_per_process")
    utilizations, memory = _values(steps, "mfu"), _values(steps, "peak_memory_bytes")
    tiles = []
    if speeds:
        of_each = f", {short(median(own))} a process" if own and median(own) < 0.99 * median(speeds) else ""
        tiles.append(tile("Training speed", short(median(speeds)), f"tokens/s, median of the steps{of_each}"))
    if utilizations:
        against = f" of {short(peak)} TFLOP/s a process" if peak else ""
        tiles.append(tile("Utilization (MFU)", f"{100 * median(utilizations):.1f} %", f"median of the steps{against}"))
    if memory:
        tiles.append(tile("Peak memory", f"{max(memory) / 1e9:.2f} GB", "of the process that used the most"))
    return tiles


def training_section(record: RunRecord) -> str:
    """Return the charts, or a sentence that says why there are none."""
    steps = [step for step in record.steps if step.loss is not None]
    if not steps:
        return "<h2>Training</h2>" + missing("No training here: metrics.jsonl is missing or holds no loss.")
    series = _loss_series(steps, record)
    legend = "".join(f'<span><i class="{line.style}"></i>{text(line.name)}</span>' for line in series)
    notes = [_note(step) for step in steps] if len(steps) <= _MANY else []
    chart = line_chart("Loss over steps", series, _LARGE, notes)
    skipped = f"{record.overflows} steps were skipped because of overflow." if record.overflows else ""
    return (
        f'<h2>Training</h2><div class="card"><h3>Loss <small>by step</small></h3>'
        f'<div class="legend">{legend}</div>{chart}<p class="soft">{skipped}</p></div>{_small_charts(steps, record)}'
    )


def _loss_series(steps: list[Step], record: RunRecord) -> list[Series]:
    points = _points(steps, "loss")
    evaluation = Series("evaluation", tuple((float(step), loss) for step, loss in record.evaluations), "s-second")
    if len(points) < _SMOOTH_FROM:
        lines = [Series("training", points, "s-main")]
    else:
        smooth = thinned(smoothed(points, _PAST_WEIGHT))
        lines = [
            Series("training, each step", thinned(points), "s-raw"),
            Series("training, smoothed", smooth, "s-main"),
        ]
    return [*lines, evaluation] if record.evaluations else lines


def _small_charts(steps: list[Step], record: RunRecord) -> str:
    curves = {f"{name}, %": [(x, 100 * y) for x, y in points] for name, points in record.benchmarks.items()}
    for title, field, unit in _CURVES:
        curves[title] = [(x, y * unit) for x, y in _points(steps, field)]
    charts = []
    for title, curve in curves.items():
        points = thinned(curve)
        if points:
            drawing = line_chart(title, [Series(title, points, "s-main")], _SMALL, floor=0.0)
            charts.append(f'<div class="card"><h3>{text(title)}</h3>{drawing}</div>')
    return f'<div class="pair">{"".join(charts)}</div>' if charts else ""


def _points(steps: list[Step], field: str) -> tuple[Point, ...]:
    values = [(float(step.step), getattr(step, field)) for step in steps]
    return tuple((x, y) for x, y in values if y is not None)


def _values(steps: tuple[Step, ...], field: str) -> list[float]:
    return [value for step in steps if (value := getattr(step, field)) is not None]


def _note(step: Step) -> str:
    parts = [f"step {step.step}", f"loss {step.loss:.4f}"]
    if step.lr is not None:
        parts.append(f"lr {step.lr:.3g}")
    if step.tokens_per_second is not None:
        parts.append(f"{step.tokens_per_second:.0f} tokens/s")
    if step.mfu is not None:
        parts.append(f"MFU {100 * step.mfu:.1f} %")
    return "\n".join(parts)


def _tokens(record: RunRecord) -> float:
    """Tokens of the whole run: metrics.jsonl gives them step by step."""
    return sum(step.tokens or 0.0 for step in record.steps)
