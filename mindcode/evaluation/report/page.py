"""The page: template, style sheet and script of this folder, filled from a `RunRecord`. Nothing in it loads anything.

html = render(collect(run_dir), problems)
html = render_comparison(collect(run_dir), collect(other_dir), problems)
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from string import Template

from mindcode.evaluation.report.collect import Asked, RunRecord
from mindcode.evaluation.report.compare import comparison
from mindcode.evaluation.report.markup import code, duration, facts, flattened, missing, text, tile
from mindcode.evaluation.report.score import problems_section, score_section, score_tiles
from mindcode.evaluation.report.split import split_section
from mindcode.evaluation.report.training import training_section, training_tiles
from mindcode.evaluation.types import Problem

_CONFIG, _SPLIT = "config", "split"
_SHOWN_ELSEWHERE = (_CONFIG, _SPLIT)
_SHOWN_ABOVE = ("configuration", "accuracy", "pass_at_k", "scores", "left_out")
_FOOTER = f"<footer>Written by mindcode {version('mindcode')}. This file stands alone: it loads nothing.</footer>"


def render(record: RunRecord, problems: Mapping[str, Problem]) -> str:
    """Return the page of a run; `problems` gives prompts and names where the run folder does not."""
    return _page(f"{record.name} · mindcode", _body(record, _all_asked(problems, record)))


def render_comparison(first: RunRecord, second: RunRecord, problems: Mapping[str, Problem]) -> str:
    """Return the page of two runs. Raises UserError for runs that cannot be compared."""
    title = f"{first.name} → {second.name}"
    parts = [
        f"<header><h1>{text(title)}</h1><p>{_subtitle(second)}</p></header>",
        comparison(first, second, _all_asked(problems, first, second)),
        _FOOTER,
    ]
    return _page(f"{title} · mindcode", "\n".join(parts))


def _page(title: str, body: str) -> str:
    folder = files(__package__)
    return Template(folder.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=text(title),
        style=folder.joinpath("page.css").read_text(encoding="utf-8"),
        script=folder.joinpath("page.js").read_text(encoding="utf-8"),
        body=body,
    )


def _all_asked(problems: Mapping[str, Problem], *records: RunRecord) -> dict[str, Asked]:
    """Return what the problems say; what a model was really given stands before that."""
    asked = {
        name: Asked(problem.entry_point, problem.language, (("", problem.prompt),))
        for name, problem in problems.items()
    }
    for record in records:
        asked.update(record.asked)
    return asked


def _body(record: RunRecord, asked: Mapping[str, Asked]) -> str:
    tiles = [*score_tiles(record), *training_tiles(record), *_time_tile(record)]
    return "\n".join(
        [
            f"<header><h1>{text(record.name)}</h1><p>{_subtitle(record)}</p></header>",
            f'<div class="tiles">{"".join(tiles)}</div>' if tiles else "",
            score_section(record),
            training_section(record) if record.steps or not _evaluated(record) else "",
            split_section(record.manifest.get(_SPLIT), record.steps),
            _timings(record),
            _facts(record) if _evaluated(record) else _manifest(record),
            problems_section(record, asked),
            _FOOTER,
        ]
    )


def _evaluated(record: RunRecord) -> bool:
    """Whether the folder is one of an evaluation alone."""
    return bool(record.summary) and not record.manifest


def _facts(record: RunRecord) -> str:
    ran = record.summary.get("configuration") or {}
    said = {**ran, **{key: value for key, value in record.summary.items() if key not in _SHOWN_ABOVE}}
    rows = [(name, value) for name, value in flattened(said) if value not in (None, "")]
    return f'<h2>What ran, and where</h2><div class="card">{facts(rows)}</div>'


def _subtitle(record: RunRecord) -> str:
    known = dict(flattened({key: value for key, value in record.manifest.items() if key not in _SHOWN_ELSEWHERE}))
    shown = [f"{name} {known[name]}" for name in ("device", "dtype", "seed") if name in known]
    configuration = record.summary.get("configuration") or {}
    names = [(configuration.get(part) or {}).get("name") for part in ("task", "model")]
    return text(" · ".join(["mindcode run", *(str(name) for name in names if name), *shown]))


def _time_tile(record: RunRecord) -> list[str]:
    if not record.timings:
        return []
    total = sum(seconds for _, seconds in record.timings)
    return [tile("Time", duration(total), f"{len(record.timings)} stages")]


def _timings(record: RunRecord) -> str:
    if not record.timings:
        return ""
    longest = max(seconds for _, seconds in record.timings) or 1.0
    rows = "".join(
        f'<tr><td>{text(stage)}</td><td class="n">{duration(seconds)}</td>'
        f'<td class="middle"><div class="bar" style="width:{100 * seconds / longest:.1f}%"></div></td></tr>'
        for stage, seconds in record.timings
    )
    return f'<h2>Where the time went</h2><div class="card"><table>{rows}</table></div>'


def _manifest(record: RunRecord) -> str:
    heading = "<h2>What ran, and where</h2>"
    if not record.manifest:
        return heading + missing("No manifest.json in this folder: settings, versions and machine are not known.")
    rows = flattened({key: value for key, value in record.manifest.items() if key not in _SHOWN_ELSEWHERE})
    config = record.manifest.get(_CONFIG)
    full = json.dumps(config, indent=2, ensure_ascii=False, default=str) if config else ""
    details = f"<details><summary>The whole configuration</summary>{code('config', full)}</details>" if full else ""
    return f'{heading}<div class="card">{facts(rows)}{details}</div>'
