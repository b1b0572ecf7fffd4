"""mindcode launch: start a script as several processes that work together, and answer for all of them.

mindcode launch --worker_num 2 run_mindcode.py --config configs/codellama/pretrain_codellama_tiny_cpu.yaml ...

scripts/msrun_launcher.sh is the same under the name and with the positions that MindFormers' users know.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mindcode.runtime.cluster import Cluster, check_port
from mindcode.runtime.simulation import refuse_simulation
from mindcode.runtime.supervise import WORKER_LOG, supervise
from mindcode.utils.errors import UserError

LAUNCHER_LOG = "launcher_{node_rank}.log"


@dataclass(frozen=True)
class Launch:
    """What is to be started, and where its output goes."""

    cluster: Cluster
    command: tuple[str, ...]
    log_dir: Path
    stop_seconds: float


def main(argv: list[str]) -> int:
    """Check what can be checked, then run the job, or have it run in the background."""
    arguments = _parser().parse_args(argv)
    refuse_simulation(os.environ)
    launch = _launch(arguments)
    if launch.cluster.has_scheduler:
        check_port(launch.cluster)
    try:
        launch.log_dir.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"--log_dir {launch.log_dir}: is a file; give a folder, new or old") from error
    except OSError as error:
        raise UserError(f"--log_dir {launch.log_dir}: {error.strerror}; give a folder that is yours") from error
    return _run(launch) if arguments.join else _start(launch)


def _launch(arguments: argparse.Namespace) -> Launch:
    local = arguments.local_worker_num or arguments.worker_num
    alone = local == arguments.worker_num
    cluster = Cluster(
        worker_num=arguments.worker_num,
        local_worker_num=local,
        master_addr="127.0.0.1" if alone else arguments.master_addr,
        master_port=arguments.master_port,
        node_rank=0 if alone else arguments.node_rank,
        time_out=arguments.cluster_time_out,
    )
    return Launch(cluster, _program(arguments.command), arguments.log_dir, arguments.stop_seconds)


def _program(command: list[str]) -> tuple[str, ...]:
    """Return the command with its program's place; this Python runs .py files. Raises UserError if it is missing."""
    if not command:
        raise UserError("nothing to launch; name a script: mindcode launch --worker_num 2 run_mindcode.py --config ...")
    program, *rest = command
    if program.endswith(".py"):
        if not Path(program).is_file():
            raise UserError(f"{program}: no such file in {os.getcwd()}")
        return (sys.executable, program, *rest)
    found = shutil.which(program)
    if not found:
        raise UserError(f"{program}: neither a .py file nor a program on PATH")
    return (found, *rest)


def _run(launch: Launch) -> int:
    """Run the job here; its first worker's lines appear as they come."""
    print(f"Running Command: {shlex.join(launch.command)}", flush=True)
    print(f"{_summary(launch)}. Please check log files in {launch.log_dir}; Ctrl-C stops all", flush=True)
    outcome = supervise(launch.cluster, launch.command, launch.log_dir, launch.stop_seconds, partial(print, flush=True))
    stream = sys.stderr if outcome.exit_code else sys.stdout
    print(f"mindcode launch: {outcome.message}", file=stream)
    print(f"mindcode launch: exit code {outcome.exit_code}", file=stream, flush=True)
    return outcome.exit_code


def _start(launch: Launch) -> int:
    """Start another launcher that outlives this terminal, and say how to follow it."""
    log = launch.log_dir / LAUNCHER_LOG.format(node_rank=launch.cluster.node_rank)
    with open(log, "wb") as stream:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "mindcode", "launch", *_flags(launch), *launch.command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    first = launch.log_dir / WORKER_LOG.format(rank=launch.cluster.ranks[0])
    print(f"Running Command: {shlex.join(launch.command)}")
    print(f"{_summary(launch)}, in the background. Please check log files in {launch.log_dir}")
    print(f"  follow: tail -F {shlex.quote(str(first))}")
    print(f"  result: tail {shlex.quote(str(log))}    (when it is over, the last line is the exit code)")
    print(f"  stop:   kill {launcher.pid}")
    return 0


def _flags(launch: Launch) -> list[str]:
    """Return the flags of a launcher that waits for the same job."""
    cluster = launch.cluster
    values = {
        "worker_num": cluster.worker_num,
        "local_worker_num": cluster.local_worker_num,
        "master_addr": cluster.master_addr,
        "master_port": cluster.master_port,
        "node_rank": cluster.node_rank,
        "cluster_time_out": cluster.time_out,
        "log_dir": launch.log_dir,
        "stop_seconds": launch.stop_seconds,
        "join": True,
    }
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def _summary(launch: Launch) -> str:
    cluster = launch.cluster
    if cluster.single_node:
        return f"{cluster.worker_num} {'workers' if cluster.worker_num > 1 else 'worker'} on port {cluster.master_port}"
    ranks, place = cluster.ranks, f"{cluster.master_addr}:{cluster.master_port}"
    return f"Node {cluster.node_rank}: ranks {ranks[0]} to {ranks[-1]} of {cluster.worker_num}, scheduler at {place}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mindcode launch",
        usage="mindcode launch [FLAGS] SCRIPT.py [ARGUMENTS]",
        description="Run a script as several processes that work together; see that all of them end together.",
        allow_abbrev=False,
    )
    for flag, (kind, metavar, default, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", type=kind, metavar=metavar, default=default, help=text)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a .py file or a program, and its arguments")
    return parser


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 1 up")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected True or False")
    return text.lower() == "true"


_FLAGS: dict[str, tuple[Callable[[str], object], str, object, str]] = {
    "worker_num": (_number, "N", 8, "processes of the whole job (default: 8)"),
    "local_worker_num": (_number, "N", None, "processes on this machine (default: all of them)"),
    "master_addr": (str, "HOST", "127.0.0.1", "address of the machine with node_rank 0 (default: 127.0.0.1)"),
    "master_port": (_number, "N", 8118, "a free port there (default: 8118)"),
    "node_rank": (int, "N", 0, "which machine this is, from 0 (default: 0)"),
    "log_dir": (Path, "FOLDER", Path("output/msrun_log"), "one file a process (default: output/msrun_log)"),
    "join": (_truth, "BOOL", True, "wait for the end (default: True), or run in the background"),
    "cluster_time_out": (_number, "S", 7200, "seconds that processes wait for each other at the start (default: 7200)"),
    "stop_seconds": (float, "S", 30.0, "seconds that workers have for a checkpoint after Ctrl-C (default: 30)"),
}
"""Type, placeholder, default and help of each flag."""
