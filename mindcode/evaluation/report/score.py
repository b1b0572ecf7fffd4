"""The HumanEval part of the page: pass@k, every problem, a few answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from mindcode.evaluation.metrics import ProblemResult
from mindcode.evaluation.report.collect import RunRecord, ScoredSample
from mindcode.evaluation.report.markup import code, facts, flattened, missing, text, tile
from mindcode.evaluation.types import Problem

_SHOWN_OF_EACH = 3
_NO_VERDICTS = "Not scored yet: run `mindcode score` or `evaluate_functional_correctness` on the samples file."
_NO_SAMPLES = "No HumanEval answers here: there is no samples.jsonl."


@dataclass(frozen=True)
class _Outcome:
    """How a problem's verdict is shown."""

    style: str
    mark: str
    word: str


_OUTCOMES = {
    "all": _Outcome("all", "✓", "passed"),
    "some": _Outcome("some", "·", "passed"),
    "none": _Outcome("none", "", "failed"),
}


def score_tiles(record: RunRecord) -> list[str]:
    """Return pass@k with its uncertainty and what it was measured on."""
    tiles = []
    for k, (value, error) in record.scores.items():
        problems = record.problems
        solved = sum(problem.passed > 0 for problem in problems)
        per_problem = max(problem.samples for problem in problems)
        note = f"{solved} of {len(problems)} problems solved, n = {per_problem}, ± {100 * error:.1f} (standard error)"
        tiles.append(tile(f"HumanEval pass@{k}", f"{100 * value:.1f} %", note))
    return tiles


def score_section(record: RunRecord, problems: Mapping[str, Problem]) -> str:
    """Return the problems and a few answers, or a sentence that says what is missing."""
    if not record.samples:
        return "<h2>HumanEval</h2>" + missing(_NO_SAMPLES)
    if not record.problems:
        return f"<h2>HumanEval</h2>{missing(_NO_VERDICTS)}{_answers(record, problems)}"
    cells = "".join(_cell(result) for result in record.problems)
    rows = "".join(_table_row(result, problems) for result in record.problems)
    passed = sum(result.passed > 0 for result in record.problems)
    return (
        f'<h2>HumanEval</h2><div class="card"><h3>Every problem <small>{passed} solved, '
        f"{len(record.problems) - passed} not</small></h3>"
        f'<div class="cells">{cells}</div></div>{_filter(passed, len(record.problems))}'
        f'<div class="card scroll" id="problems"><table><thead><tr><th>Problem</th>'
        f'<th class="wide-only">Function</th><th>Passed</th>'
        f"<th>Verdict</th></tr></thead><tbody>{rows}</tbody></table></div>{_answers(record, problems)}"
    )


def _outcome(result: ProblemResult) -> _Outcome:
    share = "none" if not result.passed else "all" if result.passed == result.samples else "some"
    return _OUTCOMES[share]


def _cell(result: ProblemResult) -> str:
    outcome = _outcome(result)
    mark = outcome.mark or result.task_id.rpartition("/")[2]
    title = f"{result.task_id}: {result.passed} of {result.samples} passed"
    return f'<a class="{outcome.style}" href="#{_anchor(result.task_id)}" title="{text(title)}">{text(mark)}</a>'


def _filter(passed: int, total: int) -> str:
    choices = (("", f"All {total}"), ("passed", f"Solved {passed}"), ("failed", f"Not solved {total - passed}"))
    buttons = (
        f'<button type="button" value="{value}" aria-pressed="{str(not value).lower()}">{label}</button>'
        for value, label in choices
    )
    return f'<div class="filter">{"".join(buttons)}</div>'


def _table_row(result: ProblemResult, problems: Mapping[str, Problem]) -> str:
    word = _outcome(result).word
    name = problems[result.task_id].entry_point if result.task_id in problems else ""
    reasons = "; ".join(reason[:160] for reason in result.results[:3])
    return (
        f'<tr id="{_anchor(result.task_id)}" data-verdict="{word}"><td>{text(result.task_id)}</td>'
        f'<td class="wide-only">{text(name)}</td><td class="n">{result.passed} / {result.samples}</td>'
        f'<td class="wrap v-{word}">{text(reasons)}</td></tr>'
    )


def _anchor(task_id: str) -> str:
    return "p-" + "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in task_id)


def _answers(record: RunRecord, problems: Mapping[str, Problem]) -> str:
    settings = _settings(record)
    blocks = "".join(_answer(sample, problems) for sample in _chosen(record.samples))
    blocks = blocks.replace("<details ", "<details open ", 1)
    return f"<h2>A few answers</h2>{blocks}{settings}"


def _chosen(samples: tuple[ScoredSample, ...]) -> list[ScoredSample]:
    """Take passed answers, and failed ones of different kinds."""
    passed = [sample for sample in samples if sample.verdict and sample.verdict.passed]
    others: dict[str, ScoredSample] = {}
    for sample in samples:
        if not (sample.verdict and sample.verdict.passed):
            others.setdefault(sample.verdict.result if sample.verdict else sample.task_id, sample)
    return [*passed[:_SHOWN_OF_EACH], *list(others.values())[:_SHOWN_OF_EACH]]


def _answer(sample: ScoredSample, problems: Mapping[str, Problem]) -> str:
    problem = problems.get(sample.task_id)
    word = "not scored" if sample.verdict is None else sample.verdict.result
    style = "passed" if sample.verdict and sample.verdict.passed else "failed"
    name = f" <code>{text(problem.entry_point)}</code>" if problem else ""
    ended = f", ended by {sample.finish_reason}" if sample.finish_reason else ""
    parts = [
        code("Prompt", problem.prompt) if problem else "",
        code(f"Answer{ended}", sample.answer),
        code("Completion that was tested", sample.completion) if sample.completion != sample.answer else "",
    ]
    return (
        f'<details class="card"><summary>{text(sample.task_id)}{name} <span class="v-{style}">{text(word[:200])}</span>'
        f"</summary>{''.join(parts)}</details>"
    )


def _settings(record: RunRecord) -> str:
    if not record.settings:
        return ""
    table = facts(flattened(record.settings))
    return f'<details class="card"><summary>How they were generated</summary>{table}</details>'
