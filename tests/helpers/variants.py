"""Programs of HumanEvalPack's problems to judge: right, wrong, empty, with one thing changed, with a common habit."""

import re
from collections.abc import Iterator, Mapping

from mindcode.evaluation.tasks.humanevalpack import PackProblem
from mindcode.evaluation.tasks.pack_prompts import SCENARIOS

_SWAPPED = {
    "<=": "<",
    ">=": ">",
    " < ": " <= ",
    " > ": " >= ",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    " and ": " or ",
    " or ": " and ",
    " + ": " - ",
    " - ": " + ",
    "true": "false",
    "false": "true",
    "True": "False",
    "False": "True",
}
_CHANGEABLE = re.compile("|".join([*map(re.escape, _SWAPPED), r"(?<![\w.])\d+(?![\w.])"]))
_JAVA_CLASS = re.compile(r"^class Solution\b", re.MULTILINE)
_AFTERWARDS: Mapping[str, str] = {
    "python": "\nprint(np.mean([1, 2]))\n",
    "js": "\nconsole.log('done')\n",
    "go": "\nfunc pick() int { return rand.Intn(2) }\n",
    "cpp": "\nint main() { return 1; }\n",
    "rust": '\nfn main() { println!("done"); }\n',
}
"""What models write after a right answer: a demonstration, or a helper with a package that they forgot to import."""


def variants(problem: PackProblem) -> Iterator[tuple[str, str]]:
    """Yield (name, program); one is what an answer to humanevalfixtests begins with, without imports in Go."""
    for name, body in _bodies(problem):
        yield name, problem.prompt + body
    yield "no docs", problem.base(SCENARIOS["fixtests"]) + problem.canonical_solution
    right = problem.prompt + problem.canonical_solution
    if problem.language == "java":
        yield "habit", _JAVA_CLASS.sub("public class Solution", right)
    else:
        yield "habit", right + _AFTERWARDS[problem.language]


def _bodies(problem: PackProblem) -> Iterator[tuple[str, str]]:
    yield "canonical", problem.canonical_solution
    yield "buggy", problem.buggy_solution
    yield "empty", ""
    changes = list(_CHANGEABLE.finditer(problem.canonical_solution))
    for number in (1, 2):
        if changes:
            match = changes[len(changes) * number // 3]
            text = match.group()
            new = _SWAPPED.get(text) or str(int(text) + 1)
            before, after = problem.canonical_solution[: match.start()], problem.canonical_solution[match.end() :]
            yield f"changed {number}", before + new + after
