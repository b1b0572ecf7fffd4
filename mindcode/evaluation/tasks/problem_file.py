"""Files of problems in HumanEval's format: .jsonl or .jsonl.gz, one problem a line, whatever its fields are called."""

import ast
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from textwrap import indent
from typing import Any

from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl


@dataclass(frozen=True)
class FieldNames:
    """What the fields of a problem are called in a file."""

    task_id: str = "task_id"
    prompt: str = "prompt"
    entry_point: str = "entry_point"
    test: str = "test"
    canonical_solution: str = "canonical_solution"
    declaration: str = "declaration"
    setup: str = "setup"


_REQUIRED = ("task_id", "prompt", "entry_point", "test")


def read_problems(path: Path, names: FieldNames | None = None, language: str = "python") -> tuple[Problem, ...]:
    """Read all problems of a file; the test may be a list of assertions that call the function by its name.

    Raises UserError for a missing file or field and for a task_id that occurs twice.
    """
    spelt = asdict(names or FieldNames())
    problems: dict[str, Problem] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        where = f"{path}: problem {number}"
        problem = _problem({field: row.get(name) for field, name in spelt.items()}, spelt, where, language)
        if problem.task_id in problems:
            raise UserError(f"{where}: {spelt['task_id']} {problem.task_id!r} occurs twice")
        problems[problem.task_id] = problem
    if not problems:
        fields = ", ".join(spelt[field] for field in _REQUIRED)
        raise UserError(f"{path}: no problems in it; expected lines with the fields {fields}")
    return tuple(problems.values())


def shipped_file(name: str) -> AbstractContextManager[Path]:
    """Give the path of a file that comes with the package, for as long as the context lasts."""
    return as_file(files("mindcode.evaluation.tasks") / "data" / name)


def checks(entry_point: str, statements: str) -> str:
    """Return the source of a `check` for statements that call the function by its name."""
    lines = ast.unparse(ast.parse(statements))
    return f"def check({entry_point}):\n{indent(lines, '    ')}\n"


def _problem(row: Mapping[str, Any], spelt: Mapping[str, str], where: str, language: str) -> Problem:
    values = {field: value for field, value in row.items() if value is not None or field in _REQUIRED}
    if isinstance(values["test"], list):
        values["test"] = _from_list(values["test"], str(values["entry_point"]), f"{where}: {spelt['test']!r}")
    for field, value in values.items():
        if isinstance(value, int) and field == "task_id":
            values[field] = str(value)
        elif not isinstance(value, str):
            raise UserError(f"{where}: the field {spelt[field]!r} is missing or not text")
    return Problem(**values, language=language)


def _from_list(assertions: list[Any], entry_point: str, where: str) -> str:
    try:
        return checks(entry_point, "\n".join(assertions))
    except (SyntaxError, TypeError) as error:
        raise UserError(f"{where}: expected text, or a list of Python assertions ({error})") from error
