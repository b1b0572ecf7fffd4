"""The warm parent of the judged: a small process that forks one locked-in child per sample and cleans up after it.

It is started with a fresh interpreter, before any problem is in its memory, so a child finds no tests to read in what
it inherits. Where the kernel allows it is the first process of namespaces of its own, and so are its children. Over its
control socket it says what protects, then receives two pipe ends and the limits of each sample, forks, waits for the
word that the sample is over, kills whatever is left, and reports exit status and processor time.

python -m mindcode.evaluation.execution.host SOCKET_DESCRIPTOR [FOLDER_TO_READ ...]
"""

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mindcode.evaluation.execution import namespaces
from mindcode.evaluation.execution.candidate import serve
from mindcode.evaluation.execution.kernel import works_in_a_child
from mindcode.evaluation.execution.limits import (
    Limits,
    Rights,
    adopt_orphans,
    become,
    confine,
    empty_environment,
    find_rights,
    hide_memory,
)
from mindcode.evaluation.execution.programs import run_program
from mindcode.evaluation.execution.system_calls import restrict
from mindcode.evaluation.execution.values import receive

_MESSAGE_BYTES = 4096
_FIRST_PROCESS, _EVERYBODY = 1, -1
# What solutions import most; a child inherits them loaded. Every library that is mapped makes a fork dearer: those that
# few solutions need (hashlib, random, datetime) are left out, and so are subprocess, shutil and tempfile in this file.
_PRELOADED = "bisect collections copy functools heapq itertools math operator re string typing"


@dataclass(frozen=True)
class _Cell:
    """What all samples of this process share."""

    control: socket.socket
    rights: Rights
    scratch: str
    """Where the samples' folders are made."""
    owns_scratch: bool
    """Whether nothing else is there."""


def main(arguments: list[str]) -> int:
    """Serve samples until the judge closes the socket."""
    control = socket.socket(fileno=int(arguments[0]))
    rights = find_rights(arguments[1:])
    held = {"user": rights.other_user, "calls": works_in_a_child(partial(_restricts, rights))}
    protections = (*(name for name, holds in held.items() if holds), *namespaces.enter())
    hide_memory()
    for module in _PRELOADED.split():
        __import__(module)
    owns_scratch = "files" in protections
    scratch = namespaces.SCRATCH if owns_scratch else os.environ.get("TMPDIR", "/tmp")
    empty_environment()
    adopt_orphans()
    # what the collector does not touch stays shared with the children
    gc.freeze()
    cell = _Cell(control, rights, scratch, owns_scratch)
    control.sendall(json.dumps(protections).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
        if not message:
            return 0
        _one_sample(cell, Limits(**json.loads(message)), descriptors)


def _restricts(rights: Rights) -> bool:
    become(rights)
    return restrict()


def _one_sample(cell: _Cell, limits: Limits, descriptors: list[int]) -> None:
    folder = f"{cell.scratch}/mindcode-sample-{os.urandom(8).hex()}"
    os.mkdir(folder, mode=0o700)
    if cell.rights.other_user:
        os.chown(folder, cell.rights.user, cell.rights.user)
    child = os.fork()
    if child == 0:
        _become_candidate(cell, limits, descriptors, folder)
    for descriptor in descriptors:
        os.close(descriptor)
    cell.control.recv(1)
    status, cpu_seconds = _end(child)
    _remove(folder, cell)
    with contextlib.suppress(BrokenPipeError):
        cell.control.sendall(json.dumps({"status": status, "cpu_seconds": cpu_seconds}).encode())


def _remove(folder: str, cell: _Cell) -> None:
    """Remove the sample's folder and, where the scratch is ours, what was written beside it."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    beside = [f"{cell.scratch}/{entry}" for entry in os.listdir(cell.scratch)] if cell.owns_scratch else [folder]
    left = [path for path in beside if os.path.lexists(path)]
    if left:
        os.spawnvp(os.P_WAIT, "rm", ["rm", "-rf", "--", *left])


def _become_candidate(cell: _Cell, limits: Limits, descriptors: list[int], folder: str) -> None:
    try:
        cell.control.close()
        calls, replies = descriptors
        request = receive(calls)
        confine(limits, folder)
        become(cell.rights)
        serve_request = run_program if "run" in request else serve
        serve_request(request, calls, replies)
    finally:
        os._exit(1)


def _end(child: int) -> tuple[int, float]:
    """Kill the child and every descendant; return the child's status and the CPU seconds of all of them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    _kill(child)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            for stray in _others():
                _kill(stray)
            os.waitpid(-1, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return os.waitstatus_to_exitcode(status), cpu_seconds


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _others() -> list[int]:
    """Return whom to kill: everybody, for the first process of a namespace, else the children, also adopted ones."""
    if os.getpid() == _FIRST_PROCESS:
        return [_EVERYBODY]
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(word) for word in listing.read_text().split()] if listing.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
