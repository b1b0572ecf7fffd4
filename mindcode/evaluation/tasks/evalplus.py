"""HumanEval+ and MBPP+ (Liu et al. 2023, arXiv 2305.01210): the same problems with many more inputs.

task("humanevalplus", TaskOptions(data_path=Path("HumanEvalPlus.jsonl.gz")))

The files are evalplus' releases, HumanEvalPlus*.jsonl.gz and MbppPlus*.jsonl.gz: inputs and a reference solution, whose
results are what an answer has to give. The data sets on the hub, whose rows have a `test` already, are taken as well.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindcode.evaluation.tasks.evalplus_inputs import rebuilt
from mindcode.evaluation.tasks.mbpp import STYLES as MBPP_STYLES
from mindcode.evaluation.tasks.mbpp import mbpp_problem
from mindcode.evaluation.tasks.problem_file import checks
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, PromptStyle
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import read_jsonl
from mindcode.utils.lookup import lookup

CPU_SECONDS = 20.0
_FOUND_OR_NOT = ("check_str", "text_match_three", "text_starta_endb")
"""Functions that may answer with a match of a regular expression, which is no plain value."""
_ORACLES: Mapping[str, str] = {
    "find_zero": "abs(sum(c * math.pow(got, i) for i, c in enumerate(given[0]))) <= tolerance",
    "are_equivalent": "True",
    "sum_div": "same(got, expected) or got == 0",
    "surface_Area": "same(got, expected) or got == pyramid_surface(*given)",
    "digit_distance_nums": "same(got, expected) or got == digit_distance(*given)",
    **dict.fromkeys(_FOUND_OR_NOT, "found(got) == found(expected)"),
    **dict.fromkeys(
        (
            "similar_elements",
            "find_char_long",
            "common_in_nested_lists",
            "extract_singly",
            "larg_nnum",
            "intersection_array",
            "find_dissimilar",
            "Diff",
        ),
        "set(got) == set(expected)",
    ),
}
"""Functions that may answer in several ways -> when `got` is right."""
_TEST = """import copy, math
inf, nan = math.inf, math.nan
tolerance = {tolerance!r}

def near(got, expected, limit):
    if isinstance(expected, (list, tuple)):
        return len(got) == len(expected) and all(near(*pair, limit) for pair in zip(got, expected))
    numbers = isinstance(got, (int, float)) and isinstance(expected, (int, float)) and math.isfinite(expected)
    return got == expected or (numbers and abs(got - expected) <= limit + 1e-7 * abs(expected))

def same(got, expected):
    items = expected if isinstance(expected, (list, tuple)) else [expected]
    limit = tolerance or 1e-6 * all(isinstance(item, float) for item in items)
    return got == expected or (limit > 0 and type(got) is type(expected) and near(got, expected, limit))

def found(got):
    return got if isinstance(got, bool) else got is not None

def pyramid_surface(edge, height):
    return round(edge**2 + 2 * edge * math.hypot(edge / 2, height))

def digit_distance(first, second):
    width = max(len(str(first)), len(str(second)))
    digits = zip(str(first).zfill(width), str(second).zfill(width))
    return sum(abs(int(left) - int(right)) for left, right in digits)

def told(*values):
    try:
        return "{{!r}} gives {{!r}} instead of {{!r}}".format(*values)[:300]
    except ValueError:
        return "a number with too many digits to be shown is wrong"

def check(candidate):
    reference = {{}}
    exec({solution!r}, reference)
    for given in {inputs!r}:
        expected = reference[{entry_point!r}](*copy.deepcopy(given))
        got = candidate(*copy.deepcopy(given))
        assert {oracle}, told(given, got, expected)
"""


def load_evalplus(path: Path) -> tuple[Problem, ...]:
    """Read a release of evalplus. Raises UserError for a file in another format."""
    return tuple(_problem(row, f"{path}: problem {number}") for number, row in enumerate(read_jsonl(path), start=1))


def _problem(row: Mapping[str, Any], where: str) -> Problem:
    try:
        problem = _from_hub(row, where) if "code" in row else _from_release(row)
    except (KeyError, TypeError) as error:
        raise UserError(f"{where}: {error}: expected evalplus' fields, among them base_input and plus_input") from error
    return replace(problem, needs_objects=problem.needs_objects or problem.entry_point in _FOUND_OR_NOT)


def _from_hub(row: Mapping[str, Any], where: str) -> Problem:
    given = mbpp_problem({**row, "text": row["prompt"]}, where)
    return replace(given, test=checks(given.entry_point, row["test"]))


def _from_release(row: Mapping[str, Any]) -> Problem:
    return Problem(
        task_id=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        test=row["test"] if "test" in row else _test_of(row),
        canonical_solution=row["canonical_solution"],
    )


def _test_of(row: Mapping[str, Any]) -> str:
    return _TEST.format(
        tolerance=row.get("atol", 0),
        solution=row["prompt"] + row["canonical_solution"],
        inputs=rebuilt(row["task_id"], [*row["base_input"], *row["plus_input"]]),
        entry_point=row["entry_point"],
        oracle=_ORACLES.get(row["entry_point"], "same(got, expected)"),
    )


def _make_task(name: str, options: TaskOptions) -> Task[Problem]:
    if not options.data_path:
        raise UserError(f"{name}: give --data_path FILE, a release of evalplus ({_STYLES[name][1]})")
    styles = {**PROMPT_STYLES, "docstring": _DOCSTRING}
    style = lookup(styles, options.prompt or _STYLES[name][0], "--prompt")
    return Task(name, load_evalplus(options.data_path), style, cpu_seconds=CPU_SECONDS)


_DOCSTRING = PromptStyle("", "{prompt}", MBPP_STYLES["docstring"].stop)
_STYLES = {
    "humanevalplus": ("completion", "HumanEvalPlus.jsonl.gz"),
    "humanevalplus-unstripped": ("completion", "HumanEvalPlus.jsonl.gz"),
    "humaneval_plus": ("completion", "HumanEvalPlus.jsonl.gz"),
    "humaneval+": ("completion", "HumanEvalPlus.jsonl.gz"),
    "mbppplus": ("docstring", "MbppPlus.jsonl.gz"),
    "mbpp_plus": ("docstring", "MbppPlus.jsonl.gz"),
    "mbpp+": ("docstring", "MbppPlus.jsonl.gz"),
}
TASKS = dict.fromkeys(_STYLES, _make_task)
