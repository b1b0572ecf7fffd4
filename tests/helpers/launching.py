"""Jobs of small processes for the tests of the launcher, and a look at what they leave behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

WORKER = """
import os, signal, subprocess, sys, time

rank, mode = int(os.environ["RANK_ID"]), sys.argv[1]
print("rank", rank, "of", os.environ["MS_WORKER_NUM"], "mode", mode, *sys.argv[2:])
if mode == "trace" and rank == 1:
    raise RuntimeError("the second worker is broken")
if mode == "line":
    print("mindcode: error: the file is missing", file=sys.stderr)
    open(f"came_{rank}", "w").close()
    while not all(os.path.exists(f"came_{other}") for other in range(int(os.environ["MS_WORKER_NUM"]))):
        time.sleep(0.01)
    os._exit(2)
if mode == "killed" and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
if mode == "polite":
    def leave(number, frame):
        print("saved before the end")
        sys.exit(130)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
if mode == "family":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print("ready")
if mode in ("stubborn", "family") and rank == 1:
    time.sleep(1)
    sys.exit(5)
if mode != "fine":
    time.sleep(300)
"""


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Place:
    """A folder with a worker script, in which jobs are launched on a port of their own."""

    folder: Path
    port: int

    def flags(self, workers: int = 2) -> list[str]:
        """What `mindcode launch` needs for this place."""
        return ["--worker_num", str(workers), "--master_port", str(self.port), "--log_dir", "log"]

    def launch(self, *words: str) -> subprocess.Popen[str]:
        """Start `mindcode launch` with these words."""
        return self.start([sys.executable, "-m", "mindcode", "launch", *words])

    def script(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start scripts/msrun_launcher.sh with these words."""
        return self.start(["bash", str(ROOT / "scripts" / "msrun_launcher.sh"), *words], **environment)

    def start(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        """Start a command here, with this Python's programs first on PATH."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | {"PATH": path} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def log(self, name: str) -> str:
        """What a log file holds; nothing when it does not exist."""
        path = self.folder / "log" / name
        return path.read_text() if path.is_file() else ""

    def await_ready(self, workers: int = 2) -> None:
        """Wait until all workers have said so."""
        wait_for(lambda: all("ready" in self.log(f"worker_{rank}.log") for rank in range(workers)))

    def left_over(self) -> list[int]:
        """Processes of jobs of this place that still run, on whatever level."""
        return self._with_variables(f"MS_SCHED_PORT={self.port}")

    def worker(self, rank: int) -> int:
        """The process of a worker."""
        (found,) = self._with_variables(f"MS_SCHED_PORT={self.port}", f"MS_NODE_ID={rank}")
        return found

    @staticmethod
    def _with_variables(*variables: str) -> list[int]:
        """Processes that have all of these in their environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                state = re.search(r"^State:\s+(\w)", (process / "status").read_text(), re.MULTILINE)
                surroundings = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if state and state[1] != "Z" and all(variable.encode() in surroundings for variable in variables):
                found.append(int(process.name))
        return found

    def clear(self) -> None:
        """Kill what a failed test left."""
        for process in self.left_over():
            os.kill(process, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0, every: float = 0.05) -> None:
    """Wait until `condition()` holds, asked `every` so many seconds; fail after a long time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(every)


def ended(process: subprocess.Popen[str], seconds: float = 90.0) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a process, once it has ended."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err
