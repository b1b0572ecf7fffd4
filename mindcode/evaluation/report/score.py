"""The benchmark's part of the page: pass@k, by language and other labels, how answers failed, and every problem."""

from collections import Counter
from collections.abc import Mapping, Sequence

from mindcode.evaluation.report.bars import Rate, count_bars, rate_bars
from mindcode.evaluation.report.collect import Asked, RunRecord, ScoredSample
from mindcode.evaluation.report.markup import facts, flattened, missing, text, tile
from mindcode.evaluation.report.problems import Item, answers, folded, squares, verdict

_NO_VERDICTS = "Not scored yet: run `mindcode score` or `evaluate_functional_correctness` on the samples file."
_NO_SAMPLES = "No HumanEval answers here: there is no samples.jsonl."
_IN_FOLDERS = (
    "The answers to the benchmarks of this run have pages of their own: mindcode report on a folder in bigcode_0."
)
_ASIDE = ("cut off", "empty")
"""Labels of an answer that are no kind of verdict."""


def score_tiles(record: RunRecord) -> list[str]:
    """Return pass@k with its uncertainty and what it was measured on."""
    problems = record.problems
    solved, most = sum(problem.passed > 0 for problem in problems), max((one.samples for one in problems), default=0)
    note = f"{solved} of {len(problems)} problems solved, n = {most}"
    return [
        tile(f"{record.task} pass@{k}", f"{100 * value:.1f} %", f"{note}, ± {100 * error:.1f} (standard error)")
        for k, (value, error) in record.scores.items()
    ]


def score_section(record: RunRecord) -> str:
    """Return the scores and a square for each problem, or a sentence that says what is missing."""
    heading = f"<h2>{text(record.task)}</h2>"
    if not record.samples:
        return heading + missing(_IN_FOLDERS if record.benchmarks else _NO_SAMPLES)
    left_out = "".join(
        missing(f"{language} is left out: {reason}")
        for language, reason in (record.summary.get("left_out") or {}).items()
    )
    if not record.problems:
        return heading + missing(_NO_VERDICTS) + left_out
    passed = sum(result.passed > 0 for result in record.problems)
    return (
        f'{heading}{left_out}<div class="bars">{score_bars(record)}{_kinds(record)}</div>'
        f'<div class="card"><h3>Every problem <small>{passed} solved, {len(record.problems) - passed} not</small></h3>'
        f"{squares(_items(record))}</div>"
    )


def problems_section(record: RunRecord, asked: Mapping[str, Asked]) -> str:
    """Return every problem with its prompt, answers and verdicts."""
    if not record.samples:
        return ""
    settings = facts(flattened(record.settings)) if record.settings else ""
    how = f'<details class="card"><summary>How they were generated</summary>{settings}</details>' if settings else ""
    return f"<h2>Problems and answers</h2>{folded(_items(record), asked)}{how}"


def score_bars(record: RunRecord) -> str:
    """Return pass@k of all problems, and the smallest k by each label."""
    note = f"{len(record.problems)} problems"
    totals = [Rate(f"pass@{k}", value, error, note) for k, (value, error) in record.scores.items()]
    cards = {"All problems": totals, **rates_by_label(record)}
    return "".join(rate_bars(title, rates) for title, rates in cards.items() if rates)


def rates_by_label(record: RunRecord) -> dict[str, list[Rate]]:
    """Return the rates of the smallest k as {"pass@1 by language": [...]}."""
    groups = (record.summary.get("scores") or {}).get("groups") or {}
    measure = f"pass@{min(record.scores, default=1)}"
    return {
        f"{measure} by {label.replace('_', ' ')}": [
            Rate(name, rate["pass_at_k"][measure], rate["standard_error"][measure], f"{rate['problems']} problems")
            for name, rate in rates.items()
            if measure in rate["pass_at_k"]
        ]
        for label, rates in groups.items()
    }


def _kinds(record: RunRecord) -> str:
    counts = Counter(label for sample in record.samples for label in sample.labels)
    kinds = [(label, count) for label, count in counts.most_common() if label not in _ASIDE]
    aside = ", ".join(f"{counts[label]} {label}" for label in _ASIDE)
    return count_bars("Answers", kinds, len(record.samples), f"Of all {len(record.samples)}: {aside}.")


def _items(record: RunRecord) -> list[Item]:
    return [_item(task_id, samples) for task_id, samples in record.answers.items()]


def _item(task_id: str, samples: Sequence[ScoredSample]) -> Item:
    passed = sum(sample.passed for sample in samples)
    scored = any(sample.verdict for sample in samples)
    style, mark = ("none", "") if not passed else ("all", "✓") if passed == len(samples) else ("some", "·")
    solved = ("solved" if passed else "not solved",) if scored else ()
    kinds = dict.fromkeys(label for sample in samples for label in sample.labels if label != "passed")
    said = verdict(samples[0]) if len(samples) == 1 else tally(samples)
    return Item(task_id, style, mark, (*solved, *kinds), said, answers(samples, "Answer"))


def tally(samples: Sequence[ScoredSample]) -> str:
    """Return how many of the samples passed."""
    passed = sum(sample.passed for sample in samples)
    return f'<span class="v-{"passed" if passed else "failed"}">{passed} of {len(samples)} passed</span>'
