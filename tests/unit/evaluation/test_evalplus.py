"""HumanEval+ and MBPP+: a release of evalplus becomes tests that compare with its reference solution."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from helpers.evalplus_rows import HUMANEVAL_PLUS, MBPP_PLUS, Case

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.evalplus_inputs import rebuilt
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Sample, Verdict
from mindcode.utils.errors import UserError

HALVE = HUMANEVAL_PLUS[0]
HUB = {
    "task_id": 3,
    "prompt": "Write a function to double.",
    "test_list": ["assert twice(1) == 2"],
    "code": "def twice(x):\n    return 2 * x\n",
    "test": "import math\nfor given, expected in [[1, 2], [4, 8]]:\n    assert twice(given) == expected\n",
}


def plus(tmp_path: Path, name: str, row: dict[str, Any]) -> Task[Any]:
    path = tmp_path / "plus.jsonl"
    path.write_text(json.dumps(row))
    return task(name, TaskOptions(data_path=path))


def judged(made: Task[Any], program: str) -> Verdict:
    (problem,) = made.problems
    ((_, verdict),) = judge_samples({problem.task_id: problem}, [Sample(problem.task_id, program)], Limits())
    return verdict


def compared(name: str, cases: tuple[Case, ...], path: Path) -> None:
    """Have the answers to all cases judged: those that should pass are those that do."""
    with gzip.open(path, "wt") as stream:
        stream.writelines(json.dumps(case.row) + "\n" for case in cases)
    made = task(name, TaskOptions(data_path=path))
    expected, samples = [], []
    for case, problem in zip(cases, made.problems, strict=True):
        programs = [(made.canonical(problem), True), *((text, True) for text in case.right)]
        for program, passes in [*programs, *((text, False) for text in case.wrong)]:
            samples.append(Sample(problem.task_id, program))
            expected.append((program, passes))
    by_id = {problem.task_id: problem for problem in made.problems}
    assert made.cpu_seconds is not None
    verdicts = dict(judge_samples(by_id, samples, Limits(cpu_seconds=made.cpu_seconds)))
    found = [(sample.source, verdicts[number].passed) for number, sample in enumerate(samples)]
    assert found == expected


def test_humaneval_plus(tmp_path: Path) -> None:
    compared("humanevalplus", HUMANEVAL_PLUS, tmp_path / "HumanEvalPlus.jsonl.gz")


def test_mbpp_plus(tmp_path: Path) -> None:
    compared("mbppplus", MBPP_PLUS, tmp_path / "MbppPlus.jsonl.gz")


def test_wrong_numbers_are_shown_as_far_as_python_shows_them(tmp_path: Path) -> None:
    (long_number,) = (case for case in HUMANEVAL_PLUS if case.row["entry_point"] == "power")
    made = plus(tmp_path, "humanevalplus", long_number.row)
    verdict = judged(made, long_number.wrong[0])
    assert (verdict.kind, verdict.result) == ("wrong", "failed: a number with too many digits to be shown is wrong")


def test_matches_are_no_plain_values(tmp_path: Path) -> None:
    together = [case.row for case in MBPP_PLUS if plus(tmp_path, "mbppplus", case.row).problems[0].needs_objects]
    assert [row["entry_point"] for row in together] == ["text_starta_endb"]


def test_a_completion_is_appended_to_the_prompt(tmp_path: Path) -> None:
    made = plus(tmp_path, "humanevalplus", HALVE.row)
    (problem,) = made.problems
    assert made.cpu_seconds == 20 and made.prompt(problem).text == HALVE.row["prompt"]
    assert judged(made, made.program(problem, "    return [item * 0.5 for item in x]\n")).passed


def test_the_data_set_of_the_hub(tmp_path: Path) -> None:
    made = plus(tmp_path, "mbppplus", HUB)
    answers = (
        made.canonical(made.problems[0]),
        "def twice(x):\n    return x + x",
        "def twice(x):\n    return 2 + x * x",
    )
    assert [judged(made, answer).passed for answer in answers] == [True, True, False]


def test_inputs_are_what_json_cannot_say() -> None:
    assert rebuilt("Mbpp/2", [[[1], [2]]]) == [[(1,), (2,)]]
    assert rebuilt("Mbpp/63", [[[[1, 2], [3, 4]]]]) == [[[(1, 2), (3, 4)]]]
    assert rebuilt("Mbpp/115", [[[[1], []]]]) == [[[{1}, {}]]]
    assert rebuilt("Mbpp/124", [["1", "2j"]]) == [[1.0, 2j]]
    assert rebuilt("Mbpp/580", [[[1, [2]]]]) == [[(1, (2,))]]
    assert rebuilt("HumanEval/2", [[[1], [2]]]) == [[[1], [2]]]


def test_the_file_has_to_be_given_and_to_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mbpp_plus: give --data_path FILE, .*MbppPlus\.jsonl\.gz"):
        task("mbpp_plus")
    with pytest.raises(UserError, match="problem 1: 'plus_input': expected evalplus' fields"):
        plus(tmp_path, "humanevalplus", {key: value for key, value in HALVE.row.items() if key != "plus_input"})
