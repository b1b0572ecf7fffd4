"""Progress for long work: a bar on a terminal, a line every few seconds in a log file.

with Progress("finetune", total=40, unit="step") as progress:
    progress.advance(1, tokens=1024, values={"loss": 2.31})
"""

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

_LINE_SECONDS = 5.0
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Counts units of work, measures tokens per second, and shows both with the remaining time."""

    def __init__(self, name: str, total: int, unit: str, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        on_terminal = self._stream.isatty()
        self._bar = tqdm(
            total=total,
            desc=name,
            unit=unit,
            file=self._stream,
            bar_format=_BAR,
            dynamic_ncols=on_terminal,
            mininterval=0.2 if on_terminal else _LINE_SECONDS,
        )
        self._start = time.monotonic()
        self._tokens = 0

    def advance(self, units: int, tokens: int = 0, values: Mapping[str, float] | None = None) -> None:
        """Count `units` of work that handled `tokens`; `values` are shown beside the rate."""
        self._tokens += tokens
        shown = {name: f"{value:.4g}" for name, value in (values or {}).items()}
        if self._tokens:
            shown["tokens/s"] = f"{self.tokens_per_second:.0f}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(units)

    @property
    def tokens_per_second(self) -> float:
        """Mean rate since the start."""
        return self._tokens / max(time.monotonic() - self._start, 1e-9)

    def close(self) -> None:
        """Show the last state and end the line."""
        self._bar.refresh()
        self._bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
