"""HumanEval+ and MBPP+: a release of evalplus becomes tests that compare with its reference solution."""

import json
from pathlib import Path
from typing import Any

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.evalplus_inputs import rebuilt
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Sample
from mindcode.utils.errors import UserError

HALVE = {
    "task_id": "HumanEval/200",
    "prompt": 'def halve(x):\n    """Half of each."""\n',
    "contract": "",
    "canonical_solution": "    return [item / 3 * 1.5 for item in x]\n",
    "entry_point": "halve",
    "base_input": [[[1.0, 2.0]]],
    "plus_input": [[[]], [[1e308, 7]]],
    "atol": 0,
}
ADD = {
    "task_id": "Mbpp/106",
    "prompt": '"""\nAppend.\nassert add_lists([5], (9,)) == (9, 5)\n"""\n',
    "canonical_solution": "\ndef add_lists(items, start):\n  return start + tuple(items)\n",
    "entry_point": "add_lists",
    "base_input": [[[5, 6, 7], [9, 10]]],
    "plus_input": [[[], [1, 2, 3]]],
    "atol": 0,
}
SHARED = {
    "task_id": "Mbpp/2",
    "prompt": '"""\nShared elements.\n"""\n',
    "canonical_solution": "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n",
    "entry_point": "similar_elements",
    "base_input": [[[3, 4, 5], [5, 4]]],
    "plus_input": [],
    "atol": 0,
}
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


def passes(made: Task[Any], program: str) -> bool:
    (problem,) = made.problems
    samples = [Sample(problem.task_id, program)]
    return all(verdict.passed for _, verdict in judge_samples({problem.task_id: problem}, samples, Limits()))


def test_answers_are_compared_with_the_reference(tmp_path: Path) -> None:
    made = plus(tmp_path, "humanevalplus", HALVE)
    (problem,) = made.problems
    assert made.cpu_seconds == 20 and made.prompt(problem).text == HALVE["prompt"]
    assert passes(made, made.canonical(problem))
    assert passes(made, made.program(problem, "    return [item * 0.5 for item in x]\n"))
    assert not passes(made, made.program(problem, "    return [item * 0.5 + 1e-3 for item in x]\n"))
    assert not passes(made, made.program(problem, "    return [item * 0.5 for item in x] or [0.0]\n"))


@pytest.mark.parametrize(
    ("row", "right", "wrong"),
    [
        (ADD, "def add_lists(a, b):\n    return (*b, *a)", "def add_lists(a, b):\n    return [*b, *a]"),
        (SHARED, "def similar_elements(a, b):\n    return [4, 5, 4]", "def similar_elements(a, b):\n    return [4]"),
        (HUB, "def twice(x):\n    return x + x", "def twice(x):\n    return 2 + x * x"),
    ],
)
def test_mbpp_plus(tmp_path: Path, row: dict[str, Any], right: str, wrong: str) -> None:
    made = plus(tmp_path, "mbppplus", row)
    assert passes(made, made.canonical(made.problems[0])) and passes(made, right)
    assert not passes(made, wrong)


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
        plus(tmp_path, "humanevalplus", {key: value for key, value in HALVE.items() if key != "plus_input"})
