"""Tricks of generated code against its judge: none passes, the judge goes on, and nothing is left behind."""

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from helpers.adding import ADD, SHORT

from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.protections import protections
from mindcode.evaluation.execution.python_judge import PythonJudge
from mindcode.evaluation.types import Problem, Sample, Verdict

RIGHT = "    return x + y\n"

# a worker, its warm host and the judged; what multiprocessing keeps is the fourth
LEAST_PROCESSES = 4

# what to write after the signature; each would pass for a judge that trusts what it attacks
ATTACKS = {
    # the verdict's channel
    "sys_exit": "import sys; sys.exit(0)",
    "os_exit": "import os; os._exit(0)",
    "exit_at_import": "return 0\nimport os; os._exit(0)",
    "prints_passed": "print('passed')",
    "prints_to_every_descriptor": "import os\n    for d in range(64):\n        try: os.write(d, b'passed')\n"
    "        except OSError: pass",
    "raw_bytes_on_the_pipe": "import os\n    for d in range(3, 64):\n        try: os.write(d, b'\\xff' * 4096)\n"
    "        except OSError: pass\n    return 3",
    "forged_frames": 'import os\n    body = b\'{"value": {"set": [{"dict": 1}]}}\'\n    for d in range(3, 64):\n'
    "        try: os.write(d, len(body).to_bytes(4, 'big') + body)\n        except OSError: pass",
    "forged_nonce": 'import os\n    body = b\'{"nonce": "0", "value": true, "passed": true}\'\n'
    "    for d in range(3, 64):\n        try: os.write(d, len(body).to_bytes(4, 'big') + body)\n"
    "        except OSError: pass",
    "unknown_tag": 'import os\n    body = b\'{"value": {"object": "os.system"}}\'\n    for d in range(3, 64):\n'
    "        try: os.write(d, len(body).to_bytes(4, 'big') + body)\n        except OSError: pass",
    "closes_all_descriptors": "import os; os.closerange(0, 256)",
    # what the tests see
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
    "frame_walking_to_skip_checks": "import sys\n    frame = sys._getframe()\n    while frame:\n"
    "        frame.f_globals['check'] = lambda f: None\n        frame.f_globals['__debug__'] = False\n"
    "        frame = frame.f_back",
    "traces_every_call": "import sys\n    sys.settrace(lambda *a: None)\n    sys.setprofile(lambda *a: None)",
    "raises_assertion": "raise AssertionError('passed')",
    "raises_stop_iteration": "raise StopIteration",
    "raises_keyboard_interrupt": "raise KeyboardInterrupt",
    "raises_system_exit": "raise SystemExit(0)",
    # time
    "endless": "while True: pass",
    "catches_time_outs": "while True:\n        try:\n            while True: pass\n"
    "        except BaseException: return x + y",
    "ignores_signals": "import signal\n    for s in range(1, 65):\n        try: signal.signal(s, signal.SIG_IGN)\n"
    "        except (OSError, ValueError): pass\n    while True: pass",
    "raises_its_own_limit": "import resource\n    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n    return x + y",
    "sleeps": "import time; time.sleep(60)",
    "reads_input": "return int(input())",
    # other processes
    "fork_bomb": "import os\n    while True:\n        try: os.fork()\n        except OSError: pass",
    "orphan_after_double_fork": "import os, time\n    if os.fork() == 0:\n        os.setsid()\n"
    "        if os.fork() == 0: time.sleep(600)\n        os._exit(0)\n    return x + y",
    "starts_a_program": "import subprocess\n    subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    "    return x + y",
    "threads": "import threading\n    while True: threading.Thread(target=input).start()",
    "kills_its_parent": "import os; os.kill(os.getppid(), 9)\n    return 'alive'",
    "kills_everyone": "import os; os.kill(-1, 9)",
    "signals_its_judge": "import os\n    for p in range(1, 70000):\n        try: os.kill(p, 14)\n"
    "        except OSError: pass\n    return 'nobody'",
    "reads_its_judge": "import glob\n    seen = b''\n    for p in glob.glob('/proc/[0-9]*/mem'):\n"
    "        try: seen += open(p, 'rb').read(1)\n        except OSError: pass\n    return len(seen) and x + y",
    "traces_its_parent": "import ctypes, os\n    attach = 16\n"
    "    return x + y if ctypes.CDLL(None).ptrace(attach, os.getppid(), 0, 0) == 0 else None",
    # memory and files
    "memory": "return [0] * 10**10",
    "memory_slowly": "x = []\n    while True: x.append(bytearray(10**7))",
    "fills_a_file": "f = open('x', 'wb')\n    while True: f.write(bytes(10**7))",
    "fills_the_disk": "n = 0\n    while True:\n        open(f'x{n}', 'wb').write(bytes(10**7))\n        n += 1",
    "endless_folders": "import os\n    while True:\n        os.mkdir('x')\n        os.chdir('x')",
    "writes_elsewhere": "open('/tmp/mindcode-attack', 'w').write('x')\n    return x + y",
    "endless_recursion": "return add(x, y)",
    "huge_value": "return 'x' * 10**8",
    "nested_value": "v = []\n    for _ in range(10**5): v = [v]\n    return v",
    "self_containing_value": "v = []\n    v.append(v)\n    return v",
    "endless_iterator": "import itertools; return itertools.count()",
    # the network
    "connects": "import socket\n    s = socket.create_connection(('127.0.0.1', PORT), 1)\n    return x + y",
    "sends_a_packet": "import socket\n    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "    s.sendto(b'x', ('192.0.2.1', 9))\n    return x + y",
    # no trick at all
    "syntax_error": "return (x +",
    "nothing": "pass",
}
# one of these protections; without any, a user's program can do what the user can
NEEDS = {"connects": {"network", "calls"}, "sends_a_packet": {"network", "calls"}, "writes_elsewhere": {"files"}}
# where tests and answer share a process, nothing is promised for `==`; that the checks were reached is
AGAINST_THE_NONCE = (
    "sys_exit os_exit exit_at_import prints_to_every_descriptor raw_bytes_on_the_pipe forged_frames forged_nonce",
    "closes_all_descriptors raises_assertion raises_system_exit raises_keyboard_interrupt endless nothing",
)


@dataclass(frozen=True)
class Outcome:
    """What became of all attacks in one run, and the traces before and after it."""

    verdicts: dict[str, Verdict]
    before: dict[str, set[str]]
    after: dict[str, set[str]]
    connected: bool


def program(attack: str) -> str:
    return f"{ADD.prompt}    {ATTACKS[attack]}\n"


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    """All attacks through two workers, a right answer after each."""
    names = [name for name in ATTACKS if name not in NEEDS or NEEDS[name] & {*protections().held}]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = str(server.getsockname()[1])
        attacks = [Sample("t/add", program(name).replace("PORT", port)) for name in names]
        rights = [Sample("t/add", f"{ADD.prompt}{RIGHT}# {name}\n") for name in names]
        mixed = [sample for pair in zip(attacks, rights, strict=True) for sample in pair]
        assert len(dict(judge_samples({"t/add": ADD}, rights[:1], SHORT))) == 1, "starts what multiprocessing keeps"
        before = _traces()
        found = dict(judge_samples({"t/add": ADD}, mixed, SHORT, workers=2))
        connected = bool(select.select([server], [], [], 0)[0])
        after = _traces()
    assert all(found[index].passed for index in range(1, len(mixed), 2)), "the judge goes on"
    yield Outcome({name: found[2 * number] for number, name in enumerate(names)}, before, after, connected)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_no_attack_passes(outcome: Outcome, name: str) -> None:
    if name not in outcome.verdicts:
        pytest.skip(f"this machine refuses: {', '.join(NEEDS[name])}")
    assert not outcome.verdicts[name].passed


@pytest.fixture(scope="module")
def judge() -> Iterator[PythonJudge]:
    with PythonJudge(SHORT) as instance:
        yield instance


@pytest.mark.parametrize("name", " ".join(AGAINST_THE_NONCE).split())
def test_no_attack_passes_where_tests_and_answer_share_a_process(judge: PythonJudge, name: str) -> None:
    together = replace(ADD, needs_objects=True)
    assert not judge.try_sample(together, program(name)).passed
    assert judge.try_sample(together, ADD.prompt + RIGHT).passed, "the next sample is judged as usual"


def test_a_loop_of_the_tests_is_not_ended_by_the_answer(judge: PythonJudge) -> None:
    loops = replace(ADD, test="def check(f):\n    assert all(map(lambda x: f(x, 0) == x, range(3)))\n")
    assert not judge.try_sample(loops, program("raises_stop_iteration")).passed


def test_the_tests_are_not_in_reach_of_the_judged(judge: PythonJudge) -> None:
    secret = Problem("t/secret", "def f():\n", "f", "def check(c):\n    assert c() == 'SECRET'\n")
    body = (
        "    import gc\n    word = 'TERCES'[::-1]\n"
        "    texts = [o for o in gc.get_objects() if isinstance(o, (list, dict, tuple))]\n"
        "    return word if any(word in str(o) for o in texts if o is not texts) else 'not found'\n"
    )
    assert judge.try_sample(secret, secret.prompt + body).result == "failed: AssertionError"


@pytest.mark.skipif("files" not in protections().held, reason="the folder of all samples is the machine's")
def test_one_sample_leaves_nothing_for_the_next(judge: PythonJudge) -> None:
    tells = Problem("t/f", "def f():\n", "f", "def check(c):\n    raise ValueError(c())\n")
    writes = (
        "    import os\n    found = os.listdir(os.path.dirname(os.getcwd()))\n    open('here', 'w').write('x')\n"
        "    try: os.mkdir('../there')\n    except OSError: pass\n    return len(found), os.listdir()\n"
    )
    first, second = (judge.try_sample(tells, tells.prompt + writes).result for _ in range(2))
    assert first == second and first.endswith("['here'])")


def test_what_a_sample_starts_ends_with_it() -> None:
    lists = Problem("t/f", "def f():\n", "f", "def check(c):\n    raise ValueError(c())\n")
    starts = (
        "    import os, time\n    seen = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "    for _ in range(3):\n        if os.fork() == 0:\n            os.setsid()\n"
        "            if os.fork() == 0: time.sleep(600)\n            os._exit(0)\n    return len(seen)\n"
    )
    with PythonJudge(replace(SHORT, processes=20)) as judge:
        first, second = (judge.try_sample(lists, lists.prompt + starts).result for _ in range(2))
    assert first == second


def test_a_killed_judge_takes_everything_along(tmp_path: Path) -> None:
    script = (
        "from mindcode.evaluation.execution.limits import Limits\n"
        "from mindcode.evaluation.execution.pool import judge_samples\n"
        "from mindcode.evaluation.types import Problem, Sample\n"
        "if __name__ == '__main__':\n"
        "    endless = Problem('t', '', 'f', 'def check(c): c()')\n"
        "    samples = [Sample('t', 'def f():\\n    while True: pass')]\n"
        "    list(judge_samples({'t': endless}, samples, Limits(cpu_seconds=60)))\n"
    )
    (tmp_path / "endless.py").write_text(script, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(tmp_path / "endless.py")]) as process:
        _wait_for(lambda: len(_descendants(str(process.pid))) >= LEAST_PROCESSES)
        started = _descendants(str(process.pid))
        process.kill()
    _wait_for(lambda: not [pid for pid in started if Path("/proc", pid).exists()])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up the right to make namespaces")
def test_without_namespaces_no_attack_passes_either(tmp_path: Path) -> None:
    names = ("sys_exit", "forged_nonce", "kills_everyone", "signals_its_judge", "sends_a_packet", "starts_a_program")
    bodies = {name: program(name) for name in names if NEEDS.get(name, {"calls"}) & {*protections().held}}
    script = (
        "import json, sys\n"
        "from mindcode.evaluation.execution.limits import Limits\n"
        "from mindcode.evaluation.execution.pool import judge_samples\n"
        "from mindcode.evaluation.execution.protections import protections\n"
        "from mindcode.evaluation.types import Problem, Sample\n"
        "if __name__ == '__main__':\n"
        "    problem, sources = json.load(sys.stdin)\n"
        "    samples = [Sample('t/add', source) for source in sources]\n"
        "    found = dict(judge_samples({'t/add': Problem(**problem)}, samples, Limits(cpu_seconds=1)))\n"
        "    print(json.dumps([protections().held, [found[n].passed for n in range(len(samples))]]))\n"
    )
    (tmp_path / "score.py").write_text(script, encoding="utf-8")
    sources = [ADD.prompt + RIGHT, *bodies.values()]
    answer = subprocess.run(
        [sys.executable, str(tmp_path / "score.py")],
        input=json.dumps([asdict(ADD), sources]),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=_give_up_administration,
    )
    held, passed = json.loads(answer.stdout)
    assert not {"network", "processes", "files"} & {*held}
    assert passed == [True] + [False] * len(bodies)


def _give_up_administration() -> None:
    drop_from_bounding_set, administration = 24, 21
    ctypes.CDLL(None).prctl(drop_from_bounding_set, administration, 0, 0, 0)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _descendants(pid: str) -> list[str]:
    listing = Path("/proc", pid, "task", pid, "children")
    children = listing.read_text(encoding="utf-8").split() if listing.exists() else []
    return [*children, *(far for child in children for far in _descendants(child))]


def test_nothing_is_left_behind(outcome: Outcome) -> None:
    assert outcome.after == outcome.before
    assert not outcome.connected


def _traces() -> dict[str, set[str]]:
    """Our descriptors and children, orphans, and the files that samples could leave."""
    places = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/dev/shm")}
    return {
        "descriptors": set(os.listdir("/proc/self/fd")),
        "children": set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8").split()),
        "orphans": {entry.name for entry in Path("/proc").glob("[0-9]*") if _is_orphan(entry)},
        "files": {str(path) for place in places for path in place.glob("mindcode-attack*")},
    }


def _is_orphan(entry: Path) -> bool:
    """Whether this was part of a sandbox, or started in one, and has lost its parent."""
    try:
        command, status = (entry / "cmdline").read_bytes(), (entry / "stat").read_text(encoding="utf-8")
    except OSError:
        return False
    parent = status.rpartition(")")[2].split()[1]
    return parent == "1" and (b"execution.host" in command or command == b"sleep\x00600\x00")
