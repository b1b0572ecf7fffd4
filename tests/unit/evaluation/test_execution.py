"""The judge and the judged: right answers pass, wrong ones do not, and the verdict says why."""

import shutil
import sys
from collections.abc import Iterator

import pytest
from helpers.adding import ADD, SHORT

from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.python_judge import PythonJudge
from mindcode.evaluation.execution.sandbox import Sandbox
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.errors import UserError

PROBLEMS = {problem.task_id: problem for problem in load_problems()}


@pytest.fixture(scope="module")
def judge() -> Iterator[PythonJudge]:
    with PythonJudge(SHORT) as instance:
        yield instance


def tried(judge: PythonJudge, problem: Problem, body: str) -> Verdict:
    return judge.try_sample(problem, problem.prompt + body)


def test_a_right_answer_passes_and_a_wrong_one_does_not(judge: PythonJudge) -> None:
    assert tried(judge, ADD, "    return x + y\n").result == "passed"
    wrong = tried(judge, ADD, "    return x - y\n")
    assert (wrong.passed, wrong.result) == (False, "failed: AssertionError")


def test_generated_code_can_import_what_we_can(judge: PythonJudge) -> None:
    body = "    import traceback, sqlite3, email.message, numpy\n    return int(numpy.add(x, y))\n"
    assert tried(judge, ADD, body).result == "passed"


def test_it_has_no_root_and_a_bare_environment(judge: PythonJudge) -> None:
    test = (
        "def check(c):\n    uid, names = c()\n    assert uid != 0, uid\n"
        "    assert not [n for n in names if not n.endswith('_THREADS') and n != 'LC_CTYPE'], names\n"
    )
    asks = Problem("t/e", "def f():\n", "f", test)
    result = tried(judge, asks, "    import os\n    return os.getuid(), list(os.environ)\n").result
    assert result == "passed"


def test_values_of_every_plain_type_cross(judge: PythonJudge) -> None:
    values = "[None, True, 2**80, -0.5, float('inf'), 'a\\n\\ud800', b'\\xff', (1,), {1: {2}}, frozenset('x'), 3j]"
    test = f"def check(c):\n    assert c({values}) == {values}\n    assert repr(c({values})) == repr({values})\n"
    same = Problem("t/same", "def same(x):\n", "same", test)
    assert tried(judge, same, "    return x\n").result == "passed"


def test_subclasses_iterators_and_errors_arrive_as_plain_ones(judge: PythonJudge) -> None:
    test = (
        "def check(c):\n    assert c(0) == {'a': 1}\n    assert sorted(c(1)) == [0, 1]\n    assert c(2) == 3\n"
        "    try:\n        c(3)\n    except KeyError as error:\n        assert 'k' in str(error)\n"
    )
    kinds = Problem("t/kinds", "def kinds(n):\n", "kinds", test)
    body = (
        "    import collections, numpy\n    if n == 3: return {}['k']\n"
        "    return [collections.Counter('a'), map(int, '10'), numpy.int64(3)][n]\n"
    )
    assert tried(judge, kinds, body).result == "passed"


def test_names_that_tests_take_from_the_prompt_are_the_prompts(judge: PythonJudge) -> None:
    prompt = 'def helper(x):\n    return 2 * x\n\ndef f(x):\n    """Double."""\n'
    uses_helper = Problem("t/h", prompt, "f", "def check(c):\n    assert c(2) == helper(2)\n")
    forged = "    return 7\n\ndef helper(x):\n    return 7\n"
    assert tried(judge, uses_helper, "    return helper(x)\n").passed
    assert not tried(judge, uses_helper, forged).passed


def test_all_canonical_solutions_pass_and_no_empty_one() -> None:
    canonical = [Sample(name, problem.prompt + problem.canonical_solution) for name, problem in PROBLEMS.items()]
    empty = [Sample(name, problem.prompt + "    pass\n") for name, problem in PROBLEMS.items()]
    verdicts = dict(judge_samples(PROBLEMS, canonical + empty, Limits()))
    assert [verdicts[index] for index in range(164) if not verdicts[index].passed] == []
    assert [verdicts[index] for index in range(164, 328) if verdicts[index].passed] == []


def test_a_verdict_says_what_kind_of_failure_it_is(judge: PythonJudge) -> None:
    kinds = {
        "    return x + y\n": "passed",
        "    return x - y\n": "wrong",
        "    return (x +\n": "does not compile",
        "    return x / 0\n": "error",
        "    while True: pass\n": "timed out",
    }
    assert {body: tried(judge, ADD, body).kind for body in kinds} == kinds


def test_tests_that_need_objects_run_beside_the_answer(judge: PythonJudge) -> None:
    test = "def check(f):\n    point = Point(1, 2)\n    f(point)\n    assert point.x == 0, 'moved'\n"
    moves = Problem(
        "t/o", "class Point:\n    def __init__(self, x, y):\n        self.x = x\n", "f", test, needs_objects=True
    )
    right, wrong = "def f(point):\n    point.x = 0\n", "def f(point):\n    point = None\n"
    assert tried(judge, moves, right).passed
    verdict = tried(judge, moves, wrong)
    assert (verdict.kind, verdict.result) == ("wrong", "failed: moved")


def test_a_sandbox_that_does_not_start_is_an_error_and_not_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(UserError, match=r"did not start: .*false .* exit code 1"):
        Sandbox()


def test_equal_samples_get_equal_verdicts_and_time_outs_are_tried_again_alone() -> None:
    bodies = ["    return x + y\n"] * 3 + ["    import time; time.sleep(600)\n"]
    samples = [Sample("t/add", ADD.prompt + body) for body in bodies]
    verdicts = dict(judge_samples({"t/add": ADD}, samples, Limits(cpu_seconds=0.5), workers=2))
    assert [verdicts[index].result for index in range(4)] == ["passed"] * 3 + ["timed out"]
