"""The judge and the judged: right answers pass, nothing else does, nothing is left behind."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mindcode.evaluation.execution.judge import Trial
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.python_judge import PythonJudge
from mindcode.evaluation.tasks.humaneval import load_problems
from mindcode.evaluation.types import Problem, Sample

PROBLEMS = {problem.task_id: problem for problem in load_problems()}
# one second of processor time is plenty for three additions and keeps the endless ones short
SHORT = Limits(cpu_seconds=1.0)
ADD = Problem(
    "t/add",
    'def add(x, y):\n    """Add two numbers."""\n',
    "add",
    "def check(f):\n    assert f(1, 2) == 3\n    assert f(-1, 1) == 0\n    assert f(5, 5) == 10\n",
)

ATTACKS = {
    "sys_exit": "import sys; sys.exit(0)",
    "os_exit": "import os; os._exit(0)",
    "exit_at_import": "return 0\nimport os; os._exit(0)",
    "prints_passed": "print('passed')",
    "prints_to_every_descriptor": "import os\n    for d in range(64):\n        try: os.write(d, b'passed')\n"
    "        except OSError: pass",
    "equal_to_everything": "class E:\n        def __eq__(self, other): return True\n"
    "        def __bool__(self): return True\n    return E()",
    "number_equal_to_everything": "class E(int):\n        def __eq__(self, other): return True\n"
    "        def __hash__(self): return 0\n    return E()",
    "list_equal_to_everything": "class E(list):\n        def __eq__(self, other): return True\n    return E()",
    "patched_builtins": "import builtins\n    builtins.AssertionError = ValueError\n    builtins.len = lambda x: 0",
    "patched_json": "import json\n    json.dumps = lambda *a, **k: '{\"value\": 3}'",
    "patched_check": "import gc\n    for f in gc.get_objects():\n        if getattr(f, '__name__', '') == 'check':\n"
    "            f.__code__ = (lambda c: None).__code__",
    "frame_walking": "import sys\n    frame = sys._getframe()\n    while frame:\n"
    "        for value in frame.f_locals.values():\n            if isinstance(value, list): value.append('passed')\n"
    "        frame = frame.f_back",
    "catches_everything": "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    "ignores_signals": "import signal\n    for s in range(1, 65):\n        try: signal.signal(s, signal.SIG_IGN)\n"
    "        except (OSError, ValueError): pass\n    while True: pass",
    "endless": "while True: pass",
    "sleeps": "import time; time.sleep(60)",
    "fork_bomb": "import os\n    while True:\n        try: os.fork()\n        except OSError: pass",
    "threads": "import threading\n    while True: threading.Thread(target=input).start()",
    "memory": "return [0] * 10**10",
    "memory_slowly": "x = []\n    while True: x.append(bytearray(10**7))",
    "reads_input": "return int(input())",
    "raises_assertion": "raise AssertionError('passed')",
    "raises_stop_iteration": "raise StopIteration",
    "raises_keyboard_interrupt": "raise KeyboardInterrupt",
    "endless_recursion": "return add(x, y)",
    "kills_its_parent": "import os; os.kill(os.getppid(), 9)",
    "kills_everyone": "import os; os.kill(-1, 9)",
    "closes_all_descriptors": "import os; os.closerange(0, 256)",
    "huge_value": "return 'x' * 10**8",
    "nested_value": "v = []\n    for _ in range(10**5): v = [v]\n    return v",
    "self_containing_value": "v = []\n    v.append(v)\n    return v",
    "endless_iterator": "import itertools; return itertools.count()",
    "raw_bytes_on_the_pipe": "import os\n    for d in range(3, 64):\n        try: os.write(d, b'\\xff' * 4096)\n"
    "        except OSError: pass\n    return 3",
    "forged_frames": 'import os\n    body = b\'{"value": {"set": [{"dict": 1}]}}\'\n    for d in range(3, 64):\n'
    "        try: os.write(d, len(body).to_bytes(4, 'big') + body)\n        except OSError: pass",
    "unknown_tag": 'import os\n    body = b\'{"value": {"object": "os.system"}}\'\n    for d in range(3, 64):\n'
    "        try: os.write(d, len(body).to_bytes(4, 'big') + body)\n        except OSError: pass",
    "syntax_error": "return (x +",
    "nothing": "pass",
}


@pytest.fixture(scope="module")
def judge() -> Iterator[PythonJudge]:
    with PythonJudge(SHORT) as instance:
        yield instance


def tried(judge: PythonJudge, problem: Problem, body: str) -> Trial:
    return judge.try_sample(problem, problem.prompt + body)


def test_a_right_answer_passes_and_a_wrong_one_does_not(judge: PythonJudge) -> None:
    assert tried(judge, ADD, "    return x + y\n").verdict.result == "passed"
    wrong = tried(judge, ADD, "    return x - y\n").verdict
    assert (wrong.passed, wrong.result) == (False, "failed: AssertionError")


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_attacks_fail_and_the_judge_goes_on(judge: PythonJudge, name: str) -> None:
    assert not tried(judge, ADD, f"    {ATTACKS[name]}\n").verdict.passed
    assert tried(judge, ADD, "    return x + y\n").verdict.passed, "the next sample is judged as usual"


def test_the_tests_are_not_in_reach_of_the_judged(judge: PythonJudge) -> None:
    secret = Problem("t/secret", "def f():\n", "f", "def check(c):\n    assert c() == 'SECRET'\n")
    body = (
        "    import gc\n    word = 'TERCES'[::-1]\n"
        "    texts = [o for o in gc.get_objects() if isinstance(o, (list, dict, tuple))]\n"
        "    return word if any(word in str(o) for o in texts if o is not texts) else 'not found'\n"
    )
    assert tried(judge, secret, body).verdict.result == "failed: AssertionError"


def test_nothing_is_left_behind(judge: PythonJudge, tmp_path: Path) -> None:
    leaves = (
        "    import os, subprocess, sys\n    open('here', 'w').write('x')\n"
        "    command = [sys.executable, '-c', 'import time; time.sleep(77)']\n"
        "    try:\n        subprocess.Popen(command, start_new_session=True)\n"
        "    except Exception: pass\n    return os.getcwd()\n"
    )
    folder = Problem("t/f", "def f():\n", "f", "def check(c):\n    raise ValueError(c())\n")
    left = tried(judge, folder, leaves).verdict.result.removeprefix("failed: ")
    assert left.startswith("/") and not os.path.exists(left)
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if b"time.sleep(77)" in _read(entry)], (
        "no process survives"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_generated_code_can_import_what_we_can(judge: PythonJudge) -> None:
    body = "    import traceback, sqlite3, email.message, numpy\n    return int(numpy.add(x, y))\n"
    assert tried(judge, ADD, body).verdict.result == "passed"


def test_it_has_no_root_and_a_bare_environment(judge: PythonJudge) -> None:
    test = (
        "def check(c):\n    uid, names = c()\n    assert uid != 0, uid\n"
        "    assert not [n for n in names if not n.endswith('_THREADS') and n != 'LC_CTYPE'], names\n"
    )
    asks = Problem("t/e", "def f():\n", "f", test)
    result = tried(judge, asks, "    import os\n    return os.getuid(), list(os.environ)\n").verdict.result
    assert result == "passed"


def test_values_of_every_plain_type_cross(judge: PythonJudge) -> None:
    values = "[None, True, 2**80, -0.5, float('inf'), 'a\\n\\ud800', b'\\xff', (1,), {1: {2}}, frozenset('x'), 3j]"
    test = f"def check(c):\n    assert c({values}) == {values}\n    assert repr(c({values})) == repr({values})\n"
    same = Problem("t/same", "def same(x):\n", "same", test)
    assert tried(judge, same, "    return x\n").verdict.result == "passed"


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
    assert tried(judge, kinds, body).verdict.result == "passed"


def test_names_that_tests_take_from_the_prompt_are_the_prompts(judge: PythonJudge) -> None:
    prompt = 'def helper(x):\n    return 2 * x\n\ndef f(x):\n    """Double."""\n'
    uses_helper = Problem("t/h", prompt, "f", "def check(c):\n    assert c(2) == helper(2)\n")
    forged = "    return 7\n\ndef helper(x):\n    return 7\n"
    assert tried(judge, uses_helper, "    return helper(x)\n").verdict.passed
    assert not tried(judge, uses_helper, forged).verdict.passed


def test_all_canonical_solutions_pass_and_no_empty_one() -> None:
    canonical = [Sample(name, problem.prompt + problem.canonical_solution) for name, problem in PROBLEMS.items()]
    empty = [Sample(name, problem.prompt + "    pass\n") for name, problem in PROBLEMS.items()]
    verdicts = dict(judge_samples(PROBLEMS, canonical + empty, Limits()))
    assert [verdicts[index] for index in range(164) if not verdicts[index].passed] == []
    assert [verdicts[index] for index in range(164, 328) if verdicts[index].passed] == []


def test_equal_samples_get_equal_verdicts_and_time_outs_are_tried_again_alone() -> None:
    bodies = ["    return x + y\n"] * 3 + ["    import time; time.sleep(9)\n"]
    samples = [Sample("t/add", ADD.prompt + body) for body in bodies]
    verdicts = dict(judge_samples({"t/add": ADD}, samples, Limits(cpu_seconds=0.5), workers=2))
    assert [verdicts[index].result for index in range(4)] == ["passed"] * 3 + ["timed out"]
