"""From answer to completion: the function and what it needs, in every dress that a model puts it in."""

import itertools
from collections.abc import Callable

import pytest

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.postprocess import COMPLETION_FORMS, extract_completion, parse, stubbed_prompt
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.types import Message, Problem, Prompt, Sample

PROBLEMS = {problem.task_id: problem for problem in load_problems()}
CHAT = Prompt("", messages=(Message("user", "Complete the function."),))
ADD = Problem("t/0", 'def add(x, y):\n    """Add."""\n', "add", "def check(f):\n    assert f(1, 2) == 3\n")


def _raw(problem: Problem) -> tuple[Prompt, str]:
    return Prompt(problem.prompt), problem.canonical_solution + "\n\nprint('demo')\nassert True\n# and some prose ("


def _echoed(problem: Problem) -> tuple[Prompt, str]:
    return Prompt(problem.prompt), problem.prompt + problem.canonical_solution


def _fenced(problem: Problem) -> tuple[Prompt, str]:
    program = problem.prompt + problem.canonical_solution
    return CHAT, f"Sure, from here:\n\n```python\n{program}\nprint(1)\n```\nThis works by import of nothing."


def _unfenced(problem: Problem) -> tuple[Prompt, str]:
    return CHAT, f"def of a function follows\n{problem.prompt}{problem.canonical_solution}\nThat was it."


def _prefilled(problem: Problem) -> tuple[Prompt, str]:
    return Prompt("```python\n", messages=CHAT.messages), problem.prompt + problem.canonical_solution + "\n```"


def _with_helpers(problem: Problem) -> tuple[Prompt, str]:
    wrapped = problem.prompt.replace(f"def {problem.entry_point}", f"@keep\ndef {problem.entry_point}")
    head = "import os\nimport math, re\nfrom typing import *\n\nLIMIT = 3\n\ndef keep(f):\n    return LIMIT and f\n\n"
    tail = f"\n\nif __name__ == '__main__':\n    {problem.entry_point}()\nresult = 1 / 0\n"
    return CHAT, f"```python\n{head}{wrapped}{problem.canonical_solution}{tail}```"


DRESSES = (_raw, _echoed, _fenced, _unfenced, _prefilled, _with_helpers)


CASES = [*((dress, "continuation") for dress in DRESSES), (_raw, "function"), (_with_helpers, "function")]


@pytest.mark.parametrize(("dress", "form"), CASES, ids=[f"{dress.__name__[1:]}-{form}" for dress, form in CASES])
def test_every_canonical_solution_survives(dress: Callable[[Problem], tuple[Prompt, str]], form: str) -> None:
    samples = []
    for problem in PROBLEMS.values():
        prompt, answer = dress(problem)
        completion = extract_completion(problem, prompt, answer)
        samples.append(Sample(problem.task_id, problem.prompt + COMPLETION_FORMS[form](problem, completion)))
    verdicts = [verdict for _, verdict in judge_samples(PROBLEMS, samples, Limits())]
    assert [verdict for verdict in verdicts if not verdict.passed] == []
    assert len(verdicts) == 164


def test_a_full_function_becomes_its_body() -> None:
    problem = PROBLEMS["HumanEval/0"]
    completion = extract_completion(problem, *_fenced(problem))
    assert completion.strip("\n") == problem.canonical_solution.strip("\n")


def test_helpers_follow_the_body_and_demonstrations_do_not() -> None:
    answer = (
        "```python\nimport operator\nimport os\n\nunused = 1\n\ndef plus(a, b):\n    return operator.add(a, b)\n\n"
        "def add(x, y):\n    return plus(x, y)\n\nprint(add(1, 2))\n```"
    )
    completion = extract_completion(ADD, CHAT, answer)
    assert completion.startswith("    return plus(x, y)\n")
    assert "import operator" in completion and "def plus" in completion
    assert "print" not in completion and "unused" not in completion and "import os\n" not in completion


def test_only_line_ends_of_the_language_end_lines() -> None:
    samples = []
    for mark, end in itertools.product("|\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e", ("\n", "\r\n", "\r")):
        lines = ["def add(x, y):", f"    mark = 'a{mark}b'", "    total = x + y", "    return SIGN * total"]
        program = end.join([*lines, "", f"SIGN = len('{mark}')", "print(add(1, 2))"])
        completion = extract_completion(ADD, CHAT, f"Here:\n\n```python\n{program}\n```")
        assert mark in completion and "print" not in completion
        samples.append(Sample("t/0", ADD.prompt + completion))
    verdicts = [verdict for _, verdict in judge_samples({"t/0": ADD}, samples, Limits())]
    assert [verdict.passed for verdict in verdicts] == [True] * 27


def test_other_parameters_replace_the_function() -> None:
    completion = extract_completion(ADD, CHAT, "```python\ndef add(a, b):\n    return a + b\n```")
    assert completion == "\n\ndef add(a, b):\n    return a + b\n"


def test_a_truncated_answer_keeps_its_longest_program() -> None:
    completion = extract_completion(ADD, CHAT, "```python\ndef add(x, y):\n    z = x\n    z += y\n    return z +")
    assert completion == "    z = x\n    z += y\n"


def test_the_first_block_with_a_body_counts() -> None:
    answer = f"```python\n{ADD.prompt}```\nbecomes\n```python\n{ADD.prompt}    return x + y\n```"
    assert extract_completion(ADD, CHAT, answer) == "    return x + y\n"


def test_without_the_function_the_text_is_cut_at_the_stop_strings() -> None:
    prompt = Prompt(ADD.prompt, stop=("\nprint", "\n#"))
    assert extract_completion(ADD, prompt, "    return (x +\nprint(1)\n# no") == "    return (x +"


@pytest.mark.parametrize(
    "answer", ["", "```", "```python\n```", "I can't.", "\0", "(" * 5000, "```python\n" + "x\n" * 50]
)
def test_hopeless_answers_do_no_harm(answer: str) -> None:
    assert isinstance(extract_completion(ADD, CHAT, answer), str)
    assert isinstance(extract_completion(ADD, Prompt(ADD.prompt), answer), str)


def test_what_compiles_and_what_does_not() -> None:
    assert parse("x = 1") is not None
    assert parse("return 1") is None
    assert parse("def f(:") is None


def test_a_prompt_without_docstring_gets_a_body() -> None:
    bare = Problem("t/1", "def f(x):\n", "f", "")
    assert stubbed_prompt(bare) == "def f(x):\n    pass\n"
    completion = extract_completion(bare, CHAT, "```python\ndef f(value):\n    return value\n```")
    assert parse(bare.prompt + completion) is not None
