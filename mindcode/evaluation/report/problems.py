"""Problems on a page: squares to see them at once, buttons to choose some, and each one folded with all it says."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mindcode.evaluation.report.collect import Asked, ScoredSample
from mindcode.evaluation.report.markup import code, text

_MOST_ANSWERS = 10
"""Different answers shown of one problem."""


@dataclass(frozen=True)
class Item:
    """One problem: `style` and `mark` of its square, what the buttons find it by, and its parts as HTML."""

    task_id: str
    style: str
    mark: str
    labels: tuple[str, ...]
    verdict: str
    body: str


def squares(items: Iterable[Item]) -> str:
    """Return a square for each problem, which leads to it."""
    cells = (
        f'<a class="{item.style}" href="#{_anchor(item.task_id)}" title="{text(item.task_id)}">'
        f"{text(item.mark or item.task_id.rpartition('/')[2])}</a>"
        for item in items
    )
    return f'<div class="cells">{"".join(cells)}</div>'


def folded(items: Sequence[Item], asked: Mapping[str, Asked]) -> str:
    """Return the buttons and the problems."""
    found = Counter(label for item in items for label in item.labels)
    choices = [("", "All", len(items)), *((label, label.capitalize(), count) for label, count in found.most_common())]
    buttons = "".join(
        f'<button type="button" value="{text(value)}" aria-pressed="{str(not value).lower()}">{text(word)} {count}'
        "</button>"
        for value, word, count in choices
    )
    rows = "".join(_folded(item, asked.get(item.task_id)) for item in items)
    return f'<div class="filter">{buttons}</div><div class="card" id="problems">{rows}</div>'


def answers(samples: Sequence[ScoredSample], whose: str) -> str:
    """Return the different answers to a problem, at least one of each kind of verdict; `whose` begins their titles."""
    times = Counter(samples)
    of_each_kind = {sample.labels: sample for sample in reversed(times)}
    shown = sorted(times, key=lambda sample: of_each_kind[sample.labels] is not sample)[:_MOST_ANSWERS]
    rest = len(times) - len(shown)
    more = f'<p class="soft">{rest} other answers are in samples.jsonl.</p>' if rest else ""
    return "".join(_answer(sample, times[sample], whose) for sample in shown) + more


def _folded(item: Item, asked: Asked | None) -> str:
    name = f" <code>{text(asked.name)}</code>" if asked else ""
    turns = asked.turns if asked else ()
    prompt = "".join(code(f"Prompt, {speaker}" if speaker else "Prompt", words) for speaker, words in turns)
    return (
        f'<details id="{_anchor(item.task_id)}" data-labels="{text("|".join(item.labels))}">'
        f"<summary>{text(item.task_id)}{name} {item.verdict}</summary>{prompt}{item.body}</details>"
    )


def _answer(sample: ScoredSample, times: int, whose: str) -> str:
    often = f", {times} times" if times > 1 else ""
    ended = f", ended by {sample.finish_reason}" if sample.finish_reason else ""
    words = sample.answer if sample.answer.strip() else "(empty)"
    tested = code("What was tested", sample.program) if sample.program.strip() != sample.answer.strip() else ""
    return f'<p class="verdict">{verdict(sample)}</p>{code(f"{whose}{often}{ended}", words)}{tested}'


def verdict(sample: ScoredSample) -> str:
    """Return the verdict on a sample: its kind, and the reason where there is one."""
    reason = sample.verdict.result.removeprefix("failed: ")[:200] if sample.verdict else ""
    return kind(sample) + (f" <small>{text(reason)}</small>" if reason not in ("", sample.labels[0]) else "")


def kind(sample: ScoredSample) -> str:
    """Return the kind of the verdict alone."""
    return f'<span class="v-{"passed" if sample.passed else "failed"}">{text(sample.labels[0])}</span>'


def _anchor(task_id: str) -> str:
    return "p-" + "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in task_id)
