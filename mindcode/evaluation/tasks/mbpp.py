"""MBPP (Austin et al. 2021, arXiv 2108.07732): 500 short Python problems, each with three assertions.

The problems come with the package (CC BY 4.0): 11 to 510 are the test set, 2 to 4 the examples of the 3-shot prompt.
`mbpp` has the prompt of the BigCode harness, `mbpp_3shot` the paper's, `mbpp_instruct` asks a chat model.
"""

import ast
import builtins
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.tasks.problem_file import checks, shipped_file
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Message, Problem, Prompt
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import lookup

_TEST_IDS = range(11, 511)
_EXAMPLE_IDS = (2, 3, 4)
_FIELDS: Mapping[str, type] = {"task_id": int, "text": str, "code": str, "test_list": list}


@dataclass(frozen=True)
class MbppProblem(Problem):
    """A problem with what the prompts show of it."""

    text: str = ""
    assertions: tuple[str, ...] = ()


@dataclass(frozen=True)
class MbppStyle:
    """Templates with {text}, {first} (the first assertion) and {tests}."""

    question: str
    answer: str = ""
    """What comes after the question in an example, with {code}."""
    opening: str = ""
    """The beginning of the answer."""
    stop: tuple[str, ...] = ()
    in_chat: bool = False


_TASK = "You are an expert Python programmer, and here is your task:"
STYLES: Mapping[str, MbppStyle] = {
    "docstring": MbppStyle(
        '"""\n{text}\n{first}\n"""\n',
        stop=("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```"),
    ),
    "3-shot": MbppStyle(
        _TASK + " {text} Your code should pass these tests:\n\n{tests}\n[BEGIN]\n",
        answer="{code}\n[DONE]\n\n",
        stop=("[DONE]",),
    ),
    "instruct": MbppStyle(
        _TASK + "\n{text}\nYour code should pass these tests:\n{tests}",
        answer="\n```python\n{code}\n```\n\n",
        opening="```python\n",
        stop=("\n```",),
        in_chat=True,
    ),
}
"""A style with an answer shows three solved problems first."""
_STYLE_OF = {"mbpp": "docstring", "mbpp_3shot": "3-shot", "mbpp_instruct": "instruct"}


@dataclass(frozen=True)
class Mbpp(Task[MbppProblem]):
    """MBPP in one style of prompts."""

    mbpp_style: MbppStyle = STYLES["docstring"]
    examples: tuple[MbppProblem, ...] = ()

    def prompt(self, problem: MbppProblem) -> Prompt:
        """Return the examples, solved, and the question."""
        style = self.mbpp_style
        solved = (_filled(style.question + style.answer, example) for example in self.examples)
        text = "".join((*solved, _filled(style.question, problem)))
        if style.in_chat:
            return Prompt(style.opening, (Message("user", text),), style.stop)
        return Prompt(text + style.opening, stop=style.stop)

    def reference(self, problem: MbppProblem) -> str:
        """Return the assertions."""
        return "\n".join(problem.assertions)


def load_mbpp(path: Path, ids: Collection[int] | None = None) -> tuple[MbppProblem, ...]:
    """Read the problems of a file in MBPP's format: all, or those with the task_ids `ids`.

    Raises UserError for a file with other fields.
    """
    rows = list(enumerate(read_jsonl(path), start=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python thinks of backslashes in solutions
        return tuple(
            mbpp_problem(row, f"{path}: problem {number}")
            for number, row in rows
            if ids is None or row.get("task_id") in ids
        )


def mbpp_problem(row: Mapping[str, Any], where: str) -> MbppProblem:
    """Return the problem of a row of MBPP. Raises UserError, which begins with `where`, for any other row."""
    for field, kind in _FIELDS.items():
        if not isinstance(row.get(field), kind):
            raise UserError(f"{where}: {field!r} is missing or not of type {kind.__name__}")
    code, setup = (str(row.get(field, "")).replace("\r\n", "\n") for field in ("code", "test_setup_code"))
    assertions = tuple(row["test_list"])
    entry_point = _entry_point(code, "\n".join(assertions), where)
    return MbppProblem(
        task_id=f"Mbpp/{row['task_id']}",
        prompt=STYLES["docstring"].question.format(text=row["text"], first=assertions[0]),
        entry_point=entry_point,
        test=checks(entry_point, "\n".join((setup, *assertions))),
        canonical_solution=code,
        needs_objects=not _names(setup) <= {entry_point, *dir(builtins)},
        text=row["text"],
        assertions=assertions,
    )


def _entry_point(code: str, assertions: str, where: str) -> str:
    """Return the last function of the solution that the assertions call."""
    try:
        called = _names(assertions)
        defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as error:
        raise UserError(f"{where}: 'code' or 'test_list' is not Python ({error.msg})") from error
    both = [name for name in defined if name in called]
    if not both:
        raise UserError(f"{where}: its tests do not call a function of its code")
    return both[-1]


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _filled(template: str, problem: MbppProblem) -> str:
    return template.format(
        text=problem.text,
        first=problem.assertions[0],
        tests="\n".join(problem.assertions),
        code=problem.canonical_solution,
    )


def _make_task(name: str, options: TaskOptions) -> Mbpp:
    style = lookup(STYLES, options.prompt or _STYLE_OF[name], "--prompt")
    with shipped_file("mbpp.jsonl.gz") as shipped:
        examples = load_mbpp(shipped, _EXAMPLE_IDS) if style.answer else ()
        problems = load_mbpp(options.data_path) if options.data_path else load_mbpp(shipped, _TEST_IDS)
    return Mbpp(name, problems, mbpp_style=style, examples=examples)


TASKS = dict.fromkeys(_STYLE_OF, _make_task)
