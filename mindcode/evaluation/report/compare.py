"""Two runs beside each other: scores, and problem by problem what the second gained and lost.

html = comparison(first, second, asked)
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

from mindcode.evaluation.report.bars import Rate, rate_bars
from mindcode.evaluation.report.collect import Asked, RunRecord, ScoredSample
from mindcode.evaluation.report.markup import missing, text, tile
from mindcode.evaluation.report.problems import Item, answers, folded, kind, squares
from mindcode.evaluation.report.score import rates_by_label, tally
from mindcode.utils.errors import UserError

_GAINED, _LOST, _EQUAL = "gained", "lost", "equal"
_MARKS = {_GAINED: ("all", "+"), _LOST: ("lost", "−"), _EQUAL: ("none", "")}
"""Style and mark of a problem's square."""
_LEGEND = "+ more of the second run's answers pass, − fewer; the others are equal."


def comparison(first: RunRecord, second: RunRecord, asked: Mapping[str, Asked]) -> str:
    """Return tiles, bars, squares and problems. Raises UserError for runs without verdicts or a common problem."""
    for record in (first, second):
        if not record.problems:
            raise UserError(f"{record.name}: not scored yet; run mindcode score --run_dir on it first")
    common = [name for name in first.answers if name in second.answers]
    if not common:
        raise UserError(f"{first.name} and {second.name} have no problem in common; compare two runs of one task")
    items = [_item(name, first, second) for name in common]
    counts = Counter(item.labels[0] for item in items)
    return (
        f'<div class="tiles">{_difference(first, second, common)}'
        f"{''.join(tile(word.capitalize(), str(counts[word]), _meaning(word)) for word in _MARKS)}</div>"
        f'{_only(first, second)}<h2>Scores</h2><div class="bars">{_bars(first, second)}</div>'
        f'<div class="card"><h3>Every problem <small>{text(_LEGEND)}</small></h3>{squares(items)}</div>'
        f"<h2>Problems and answers</h2>{folded(items, asked)}"
    )


def _meaning(word: str) -> str:
    return {_GAINED: "problems it solves more often", _LOST: "less often"}.get(word, "as often")


def _share(samples: Sequence[ScoredSample]) -> float:
    return sum(sample.passed for sample in samples) / len(samples)


def _difference(first: RunRecord, second: RunRecord, common: Sequence[str]) -> str:
    """The mean of the problems' differences; problem by problem, its error is smaller than that of the two scores."""
    ours, theirs = first.answers, second.answers
    differences = [_share(theirs[name]) - _share(ours[name]) for name in common]
    error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    note = f"points over {len(common)} problems, ± {100 * error:.1f} (standard error, problem by problem)"
    return tile("pass@1", f"{100 * mean(differences):+.1f}".replace("-", "−"), note)


def _only(first: RunRecord, second: RunRecord) -> str:
    """Say how many problems only one of the runs has."""
    pairs = ((first, set(first.answers) - set(second.answers)), (second, set(second.answers) - set(first.answers)))
    return "".join(missing(f"Only in {record.name}: {len(names)} of its problems.") for record, names in pairs if names)


def _bars(first: RunRecord, second: RunRecord) -> str:
    """A card for each k and each label that both have, with the runs' bars below each other."""
    cards = {}
    for k in first.scores.keys() & second.scores.keys():
        pair = (Rate(record.name, *record.scores[k], f"{len(record.problems)} problems") for record in (first, second))
        cards[f"pass@{k}"] = _coloured(*pair)
    ours, theirs = rates_by_label(first), rates_by_label(second)
    for title in ours.keys() & theirs.keys():
        others = {rate.name: rate for rate in theirs[title]}
        pairs = [
            (_named(rate, first), _named(others[rate.name], second)) for rate in ours[title] if rate.name in others
        ]
        cards[title] = [rate for pair in pairs for rate in _coloured(*pair)]
    return "".join(rate_bars(title, rates) for title, rates in sorted(cards.items()) if rates)


def _coloured(before: Rate, after: Rate) -> list[Rate]:
    return [before, replace(after, style="second")]


def _named(rate: Rate, record: RunRecord) -> Rate:
    return replace(rate, note=f"{record.name}, {rate.note}")


def _item(name: str, first: RunRecord, second: RunRecord) -> Item:
    before, after = first.answers[name], second.answers[name]
    change = _share(after) - _share(before)
    word = _GAINED if change > 0 else _LOST if change < 0 else _EQUAL
    said = " → ".join(kind(samples[0]) if len(samples) == 1 else tally(samples) for samples in (before, after))
    body = answers(before, first.name) + answers(after, second.name)
    return Item(name, *_MARKS[word], (word,), said, body)
