"""Horizontal bars: shares with their uncertainty, and counts. HTML alone, so that they fit a phone.

html = rate_bars("pass@1 by language", [Rate("rust", 0.43, 0.04, "164 problems")])
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mindcode.evaluation.report.markup import text


@dataclass(frozen=True)
class Rate:
    """A share of 1 and its standard error; `style` is the bar's class in the style sheet."""

    name: str
    value: float
    error: float
    note: str
    style: str = ""


def rate_bars(title: str, rates: Sequence[Rate]) -> str:
    """Return a card with a bar for each rate; the line over its end is one standard error to either side."""
    rows = "".join(
        _row(rate, f"{100 * rate.value:.1f} % ± {100 * rate.error:.1f}", _whisker(rate.value, rate.error))
        for rate in rates
    )
    return _card(title, rows)


def count_bars(title: str, counts: Sequence[tuple[str, int]], total: int, note: str) -> str:
    """Return a card with a bar for each count, as a share of `total`, and a note below."""
    rates = [Rate(name, count / total, 0.0, f"{100 * count / total:.1f} %", _style(name)) for name, count in counts]
    rows = "".join(_row(rate, str(count), "") for rate, (_, count) in zip(rates, counts, strict=True))
    return _card(title, rows + f'<p class="soft">{text(note)}</p>')


def _card(title: str, rows: str) -> str:
    return f'<div class="card"><h3>{text(title)}</h3>{rows}</div>'


def _style(kind: str) -> str:
    return "good" if kind == "passed" else "bad"


def _row(rate: Rate, value: str, whisker: str) -> str:
    bar = f'<div class="bar {rate.style}" style="width:{100 * rate.value:.2f}%"></div>' if rate.value else ""
    return (
        f'<div class="rate"><span>{text(rate.name)}</span><b>{text(value)}</b><small>{text(rate.note)}</small>'
        f'<div class="track">{bar}{whisker}</div></div>'
    )


def _whisker(value: float, error: float) -> str:
    if not error:
        return ""
    low, high = max(0.0, value - error), min(1.0, value + error)
    return f'<i style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></i>'
