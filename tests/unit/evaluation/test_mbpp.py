"""MBPP: three ways to ask, assertions that become a check, and reference solutions that pass."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.mbpp import Mbpp, MbppProblem, load_mbpp
from mindcode.evaluation.tasks.registry import task
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Sample, Verdict
from mindcode.utils.errors import UserError


def mbpp(name: str = "mbpp", options: TaskOptions | None = None) -> Mbpp:
    made = task(name, options)
    assert isinstance(made, Mbpp)
    return made


def failures(made: Mbpp, program: Callable[[MbppProblem], str]) -> list[Verdict]:
    samples = [Sample(problem.task_id, program(problem)) for problem in made.problems]
    by_id = {problem.task_id: problem for problem in made.problems}
    return [verdict for _, verdict in judge_samples(by_id, samples, Limits(), 2) if not verdict.passed]


def test_the_test_set_has_500_problems_and_one_needs_objects() -> None:
    problems = mbpp().problems
    assert [problems[0].task_id, problems[-1].task_id, len(problems)] == ["Mbpp/11", "Mbpp/510", 500]
    assert [problem.task_id for problem in problems if problem.needs_objects] == ["Mbpp/367"]


def test_the_docstring_prompt_is_that_of_the_bigcode_harness() -> None:
    made = mbpp(options=TaskOptions(limit=1))
    (problem,) = made.problems
    assert made.prompt(problem).text == problem.prompt == f'"""\n{problem.text}\n{problem.assertions[0]}\n"""\n'
    assert made.reference(problem).count("assert ") == 3


def test_three_solved_examples_come_first() -> None:
    made = mbpp("mbpp_3shot", TaskOptions(limit=1))
    prompt = made.prompt(made.problems[0])
    assert prompt.text.count("[BEGIN]\n") == 4 and prompt.text.count("\n[DONE]\n\n") == 3
    assert prompt.text.endswith('"H"\n[BEGIN]\n') and prompt.stop == ("[DONE]",)
    chat = mbpp("mbpp_instruct", TaskOptions(limit=1))
    prompt = chat.prompt(chat.problems[0])
    assert prompt.messages[0].content.count("```python\n") == 3 and prompt.text == "```python\n"


def test_references_pass_as_programs_and_as_answers() -> None:
    quick = mbpp(options=TaskOptions(ids=("Mbpp/11", "Mbpp/126", "Mbpp/367", "Mbpp/510")))
    assert failures(quick, quick.canonical) == []
    assert failures(quick, lambda problem: quick.program(problem, problem.canonical_solution + "\nprint(1)")) == []
    assert len(failures(quick, lambda problem: problem.prompt)) == 4


@pytest.mark.slow
def test_all_references_pass() -> None:
    made = mbpp()
    assert failures(made, made.canonical) == []
    chat = mbpp("mbpp_instruct")
    assert (
        failures(chat, lambda problem: chat.program(problem, f"{problem.canonical_solution}\n```\nThat is it.")) == []
    )


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    row = {
        "task_id": 7,
        "text": "Double.",
        "code": "def twice(x):\r\n  return 2 * x",
        "test_list": ["assert twice(2) == 4"],
    }
    path.write_text(json.dumps(row))
    (problem,) = load_mbpp(path)
    assert (problem.entry_point, problem.test) == ("twice", "def check(twice):\n    assert twice(2) == 4\n")
    path.write_text(json.dumps({**row, "test_list": ["assert thrice(2) == 4"]}))
    with pytest.raises(UserError, match=r"own\.jsonl: problem 1: its tests do not call a function of its code"):
        load_mbpp(path)
    path.write_text(json.dumps({**row, "code": 1}))
    with pytest.raises(UserError, match="'code' is missing or not of type str"):
        load_mbpp(path)
