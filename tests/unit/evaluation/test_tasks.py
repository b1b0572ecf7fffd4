"""HumanEval's problems and how they are put to a model."""

import ast
import gzip
import json
import re
from pathlib import Path

import pytest

from mindcode.evaluation.tasks.humaneval import load_problems, select
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, make_prompt
from mindcode.evaluation.tasks.registry import task, task_names
from mindcode.evaluation.tasks.task import TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError

ADD = Problem("t/0", 'def add(x, y):\n    """Add."""\n', "add", "")


def test_the_installed_package_has_164_problems() -> None:
    problems = load_problems()
    assert len(problems) == 164
    assert all(f"def {problem.entry_point}(" in problem.prompt for problem in problems)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    row = {"task_id": "a", "prompt": "def f():\n", "entry_point": "f", "test": "def check(c): pass", "extra": 1}
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    assert load_problems(path) == (Problem("a", "def f():\n", "f", "def check(c): pass"),)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"task_id": "a"}', "problem 1: the field 'prompt' is missing"),
        ("", "no problems"),
        ('{"task_id": "a", "prompt": "", "entry_point": "", "test": ""}\n' * 2, "'a' occurs twice"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(lines)
    with pytest.raises(UserError, match=message):
        load_problems(path)


def test_choosing_problems() -> None:
    problems = load_problems()
    assert [problem.task_id for problem in select(problems, limit=2)] == ["HumanEval/0", "HumanEval/1"]
    assert [problem.task_id for problem in select(problems, ids=["HumanEval/7"])] == ["HumanEval/7"]
    with pytest.raises(UserError, match=r"did you mean HumanEval/16"):
        select(problems, ids=["HumanEval/1634"])


def test_the_raw_prompt_is_not_touched() -> None:
    prompt = make_prompt(PROMPT_STYLES["completion"], ADD)
    assert (prompt.text, prompt.messages) == (ADD.prompt, ())
    assert {"\nclass", "\ndef", "\n#", "\nif", "\nprint"} <= set(prompt.stop)


@pytest.mark.parametrize("style", ["chat", "chat-free"])
def test_a_chat_asks_one_question_that_holds_the_prompt(style: str) -> None:
    prompt = make_prompt(PROMPT_STYLES[style], ADD)
    (message,) = prompt.messages
    assert message.role == "user" and ADD.prompt.strip() in message.content
    assert not any(stop in prompt.text for stop in prompt.stop)


@pytest.mark.parametrize("name", ["instruct-humaneval", "instruct-humaneval-nocontext"])
def test_humaneval_as_an_instruction(name: str) -> None:
    made = task(name, TaskOptions(limit=1))
    (problem,) = made.problems
    prompt = made.prompt(problem)
    asked = "Write a function has_close_elements(numbers: List[float], threshold: float) -> bool to solve the following"
    assert prompt.messages[0].content.startswith(asked)
    assert prompt.text.endswith("-> bool:") if name == "instruct-humaneval" else prompt.text == ""
    whole = f"```python\n{made.canonical(problem)}\nprint(1)\n```"
    answer = "\n" + problem.canonical_solution if prompt.text else whole
    assert made.program(problem, answer).split() == made.canonical(problem).split()


def test_wizardcoder_is_asked_with_tabs() -> None:
    made = task("instruct_wizard_humaneval", TaskOptions(limit=1))
    (problem,) = made.problems
    prompt = made.prompt(problem)
    assert not prompt.messages and prompt.text.endswith('\t"""\n\n\n### Response:') and "    " not in prompt.text
    answer = f"\nHere's the code:\n```python\n{made.canonical(problem)}\nprint(1)\n```\n".replace("    ", "\t")
    for said in (answer, f"\n{made.canonical(problem)}"):
        got, wanted = (ast.parse(text).body[-1] for text in (made.program(problem, said), made.canonical(problem)))
        assert isinstance(got, ast.FunctionDef) and isinstance(wanted, ast.FunctionDef)
        assert [ast.dump(node) for node in got.body[1:]] == [ast.dump(node) for node in wanted.body[1:]]


@pytest.mark.parametrize("name", ["humaneval+", "humaneval_plus", "mbpp+", "mbpp_plus"])
def test_other_names(name: str) -> None:
    with pytest.raises(UserError, match=rf"{re.escape(name)}: give --data_path FILE, a release of evalplus"):
        task(name)


def test_every_task_has_a_name_of_its_own_and_says_what_it_lacks() -> None:
    assert {"humaneval", "mbpp", "humanevalplus", "mbppplus", "humanevalfixtests-cpp"} <= set(task_names())
    with pytest.raises(UserError, match=r"--task: unknown name 'humanevl'; did you mean humaneval\?"):
        task("humanevl")
    assert len(task("humaneval").problems) == 164
    chosen = task("humaneval", TaskOptions(limit_start=3, limit=2)).problems
    assert [problem.task_id for problem in chosen] == ["HumanEval/3", "HumanEval/4"]
