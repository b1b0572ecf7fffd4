"""The page: complete, self-contained, harmless, and honest about what is missing."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mindcode.evaluation.report.charts import Series, Size, line_chart, short, smoothed, thinned, ticks
from mindcode.evaluation.report.collect import collect
from mindcode.evaluation.report.page import render, render_comparison
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.utils.errors import UserError

PROBLEMS = {problem.task_id: problem for problem in load_problems()}
HOSTILE = "</script><script>alert('hostile')</script><img src=x onerror=alert(1)> $title ${body} &lt;"
VOID_TAGS = {"meta", "link", "br", "img", "input", "hr"}


class Outline(HTMLParser):
    """Collects tags and attributes and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    return outline


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    manifest = {"config": {"seed": 1, "note": HOSTILE}, "device": "CPU", "versions": {"mindspore": "2.9.0"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    steps = [
        {"step": n, "loss": 3 / n, "lr": 1e-5 * n, "tokens": 8, "tokens_per_second": 100.0 + n} for n in range(1, 31)
    ]
    steps[4] |= {"loss": math.inf, "overflow": True}
    write_lines(tmp_path / "metrics.jsonl", [*steps, {"step": 10, "eval_loss": 2.5}, {"step": 30, "eval_loss": 1.5}])
    answer = {"completion": "    pass\n", "answer": HOSTILE, "finish_reason": "eos"}
    samples = [{"task_id": name, **answer} for name in PROBLEMS]
    write_lines(tmp_path / "samples.jsonl", samples)
    scored = [{**sample, "passed": False, "result": HOSTILE} for sample in samples]
    scored[3] |= {"passed": True, "result": "passed"}
    write_lines(tmp_path / "samples.jsonl_results.jsonl", scored)
    write_lines(tmp_path / "timings.jsonl", [{"stage": "train", "seconds": n} for n in (60.0, 5.4)])
    return tmp_path


def test_the_page_tells_what_happened(run: Path) -> None:
    page = render(collect(run), PROBLEMS)
    for expected in (
        "0.6 %",
        "1 of 164 problems solved, n = 1",
        "1 steps were skipped",
        "1 min 05 s",
        "mindspore",
        "CPU",
    ):
        assert expected in page
    assert page.count('data-labels="solved"') == 1 and page.count('data-labels="not solved|') == 163


def test_the_page_loads_nothing_and_runs_only_its_own_script(run: Path) -> None:
    outline = outline_of(render(collect(run), PROBLEMS))
    tags = [tag for tag, _ in outline.seen]
    assert tags.count("script") == 1 and "img" not in tags and "link" not in tags
    for _, attributes in outline.seen:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert (attributes.get("href") or "#").startswith("#")
    assert re.search(r"url\(|@import|https?://", render(collect(run), PROBLEMS)) is None


def test_how_the_work_was_shared_and_what_it_cost(run: Path) -> None:
    split = {"processes": 8, "data_parallel": 2, "model_parallel": 2, "pipeline_stage": 2, "micro_batches": 4}
    split |= {"sequence_slices": True, "sharded_optimizer": True}
    stages = [
        {"layers": [0, 1], "ranks": [[0, 1], [2, 3]]},
        {"layers": [2, 2], "ranks": [[4, 5], [6, 7]]},
    ]
    (run / "manifest.json").write_text(json.dumps({"split": {**split, "stages": stages}}))
    usage = {"tokens_per_second": 800.0, "tokens_per_second_per_process": 100.0, "mfu": 0.25, "bubble_share": 0.2}
    write_lines(run / "metrics.jsonl", [{"step": 1, "loss": 2.0, "peak_memory_bytes": 1_500_000_000, **usage}])
    page = render(collect(run), PROBLEMS)
    outline_of(page)
    for expected in (
        "8 processes: 2 copies of the model, which share the optimizer state; tensors in 2 parts, norms on slices of "
        "the sequence; layers in 2 stages with 4 micro-batches, in theory idle 20 % of a step.",
        'layers 0–1</span><div class="copy"><b>0</b><b>1</b></div><div class="copy"><b>2</b><b>3</b></div>',
        "stage 1<br>layer 2</span>",
        "<b>800</b><span>tokens/s, median of the steps, 100 a process</span>",
        "<b>25.0 %</b>",
        "<b>1.50 GB</b>",
    ):
        assert expected in page


def test_one_process_shares_with_nobody(run: Path) -> None:
    (run / "manifest.json").write_text(json.dumps({"split": {"processes": 1}}))
    assert "How the work was shared" not in render(collect(run), PROBLEMS)


def test_generated_text_is_shown_as_text(run: Path) -> None:
    page = render(collect(run), PROBLEMS)
    assert HOSTILE not in page and "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(&#x27;hostile&#x27;)" in page
    assert "$title ${body} &amp;lt;" in page


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("metrics.jsonl", "No training here"),
        ("manifest.json", "No manifest.json"),
        ("samples.jsonl_results.jsonl", "Not scored yet"),
        ("timings.jsonl", ""),
    ],
)
def test_missing_parts_are_named(run: Path, absent: str, message: str) -> None:
    (run / absent).unlink()
    page = render(collect(run), PROBLEMS)
    outline_of(page)
    assert message in page


def test_benchmarks_during_training_have_a_curve_and_the_last_score(run: Path) -> None:
    with open(run / "metrics.jsonl", "a") as stream:
        for step, score in ((20, 0.25), (10, 0.125)):
            stream.write(json.dumps({"step": step, "humaneval/pass@1": score}) + "\n")
    (run / "samples.jsonl").unlink()
    (run / "samples.jsonl_results.jsonl").unlink()
    page = render(collect(run), PROBLEMS)
    for expected in ("25.0 %", "of the answers after step 20", "humaneval/pass@1, %", "a folder in bigcode_0"):
        assert expected in page


def test_an_empty_folder_still_makes_a_page(tmp_path: Path) -> None:
    page = render(collect(tmp_path), {})
    outline_of(page)
    assert "No HumanEval answers" in page and "No training here" in page


def test_unusable_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run folder"):
        collect(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no such samples file"):
        collect(tmp_path, tmp_path / "none.jsonl")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest\.json: not JSON"):
        collect(tmp_path)


def evaluated(folder: Path, verdicts: dict[str, list[str]]) -> Path:
    """Write what the report reads of a run folder of `mindcode evaluate`: task_id -> the kinds of its answers."""
    folder.mkdir()
    rows = [
        {
            "task_id": name,
            "sample": number,
            "solution": f"{kind} {number}",
            "answer": "" if kind == "error" else HOSTILE,
        }
        | {"passed": kind == "passed", "result": kind, "kind": kind, "finish_reason": "length"}
        for name, kinds in verdicts.items()
        for number, kind in enumerate(kinds)
    ]
    write_lines(folder / "samples.jsonl_results.jsonl", rows)
    rate = {"pass_at_k": {"pass@2": 0.5}, "standard_error": {"pass@2": 0.25}, "problems": 2}
    groups = {"language": {"rust": rate, "go": rate}, "bug_type": {"missing logic": rate}}
    configuration = {"task": {"name": "humanevalfix"}, "model": {"name": HOSTILE}}
    summary = {"configuration": configuration, "scores": {"pass_at_k": {"pass@2": 0.5}, "groups": groups}}
    summary |= {"left_out": {"java": "no javac"}, "protections": "locked in"}
    (folder / "summary.json").write_text(json.dumps(summary))
    turns = [{"role": "user", "content": "Mend it."}, {"role": "assistant", "content": "fn"}]
    entry = {"language": "rust", "entry_point": "mean", "input_conversation": turns}
    results = {str(number): {"task_id": name, **entry} for number, name in enumerate(verdicts)}
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_the_run_folder_of_an_evaluation(tmp_path: Path) -> None:
    verdicts = {"Rust/0": ["passed", "wrong"], "Rust/1": ["error", "timed out"], "Rust/10": ["does not compile"] * 2}
    page = render(collect(evaluated(tmp_path / "run", verdicts)), {})
    outline_of(page)
    for expected in (
        "humanevalfix pass@2",
        "1 of 3 problems solved, n = 2",
        "pass@2 by language",
        "pass@2 by bug type",
        "50.0 % ± 25.0",
        "Of all 6: 6 cut off, 1 empty.",
        "java is left out: no javac",
        'data-labels="solved|cut off|wrong"',
        'data-labels="not solved|error|cut off|empty|timed out"',
        "1 of 2 passed",
        "Prompt, user</div><pre>Mend it.</pre>",
        "(empty)",
        "locked in",
    ):
        assert expected in page, expected
    assert "No training here" not in page and "No manifest" not in page and HOSTILE not in page


def test_equal_answers_are_shown_once_and_one_of_each_kind_is(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "run", {"Rust/0": ["wrong"] * 30 + ["timed out"]})
    page = render(collect(folder), {})
    assert "21 other answers" in page and 'v-failed">timed out' in page
    rows = [{"task_id": "Rust/0", "completion": "x", "passed": False, "result": "failed: y"} for _ in range(7)]
    write_lines(folder / "samples.jsonl_results.jsonl", rows)
    assert "Answer, 7 times" in render(collect(folder), {})


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    right, wrong, half = ["passed"] * 2, ["wrong"] * 2, ["passed", "error"]
    before = {"Rust/0": wrong, "Rust/1": right, "Rust/2": half, "Rust/3": wrong}
    after = {"Rust/0": half, "Rust/1": half, "Rust/2": half, "Rust/4": wrong}
    first, second = collect(evaluated(tmp_path / "old", before)), collect(evaluated(tmp_path / "new", after))
    page = render_comparison(first, second, {})
    outline_of(page)
    assert HOSTILE not in page and "old → new" in page and "Only in old: 1 of its problems." in page
    for task_id, word in (("Rust-0", "gained"), ("Rust-1", "lost"), ("Rust-2", "equal")):
        assert f'id="p-{task_id}" data-labels="{word}"' in page
    assert "<b>+0.0</b>" in page and page.count('"bar second"') == 4


def test_runs_that_cannot_be_compared(run: Path, tmp_path: Path) -> None:
    scored = collect(evaluated(tmp_path / "one", {"Rust/0": ["passed"]}))
    with pytest.raises(UserError, match="no problem in common"):
        render_comparison(scored, collect(run), {})
    (run / "samples.jsonl_results.jsonl").unlink()
    with pytest.raises(UserError, match="not scored yet"):
        render_comparison(scored, collect(run), {})


@pytest.mark.parametrize("points", [((1.0, 2.0),), ((1.0, 2.0), (2.0, 2.0)), ((0.0, 0.0),), ((1.0, 1e-9), (9.0, 3e-9))])
def test_charts_cope_with_flat_and_single_lines(points: tuple[tuple[float, float], ...]) -> None:
    drawing = line_chart("x", [Series("x", points, "s-main")], [Size(300, 200, "wide")])
    numbers = [float(word) for word in re.findall(r'points="([^"]*)"', drawing)[0].replace(",", " ").split()]
    assert all(0 <= number <= 300 for number in numbers)


def test_an_axis_may_begin_at_a_floor() -> None:
    points = ((1.0, 0.7245), (4.0, 0.7249))
    drawing = line_chart("x", [Series("x", points, "s-main")], [Size(300, 200, "wide")], floor=0.0)
    (first, second) = re.findall(r"points=\"([^\"]*)\"", drawing)[0].split()
    assert abs(float(first.split(",")[1]) - float(second.split(",")[1])) < 1
    assert ">0</text>" in drawing and ">1.5</text>" not in drawing


def test_numbers_and_lines_for_people() -> None:
    assert [short(value) for value in (1234567.0, 61440.0, 140.0, 2e-5, 0.0)] == ["1.23M", "61.4k", "140", "2e-5", "0"]
    assert ticks(0.0, 1.0, 4) == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert smoothed([(0.0, 1.0), (1.0, 1.0)], 0.9) == ((0.0, pytest.approx(1.0)), (1.0, pytest.approx(1.0)))
    many = [(float(n), float(n % 2)) for n in range(5000)]
    assert len(thinned(many)) == 500 and {y for _, y in thinned(many)} == {0.5}
