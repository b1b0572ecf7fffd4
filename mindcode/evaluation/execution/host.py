"""The warm parent of the judged: a small process that forks one locked-in child per sample and cleans up after it.

It is started with a fresh interpreter, before any problem is in its memory, so a child finds no tests to read in what
it inherits. Over its control socket it receives two pipe ends and the limits, forks, waits for the word that the
sample is over, kills whatever is left, and reports exit status and processor time.

python -m mindcode.evaluation.execution.host SOCKET_DESCRIPTOR
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from mindcode.evaluation.execution.candidate import serve
from mindcode.evaluation.execution.limits import Limits, Rights, become, confine, find_rights
from mindcode.evaluation.execution.values import receive

_PR_SET_CHILD_SUBREAPER = 36
_MESSAGE_BYTES = 4096
# what solutions import most; a child inherits them loaded
_PRELOADED = (
    "bisect cmath collections copy datetime decimal fractions functools hashlib heapq itertools math operator random "
    "re statistics string typing"
)


def main(arguments: list[str]) -> int:
    """Serve samples until the judge closes the socket."""
    control = socket.socket(fileno=int(arguments[0]))
    for module in _PRELOADED.split():
        __import__(module)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    rights = find_rights()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
        if not message:
            return 0
        _one_sample(control, Limits(**json.loads(message)), descriptors, rights)


def _one_sample(control: socket.socket, limits: Limits, descriptors: list[int], rights: Rights | None) -> None:
    folder = tempfile.mkdtemp(prefix="mindcode-sample-")
    if rights is not None:
        os.chown(folder, rights.user, rights.user)
    child = os.fork()
    if child == 0:
        _become_candidate(control, limits, descriptors, rights, folder)
    for descriptor in descriptors:
        os.close(descriptor)
    control.recv(1)
    status, cpu_seconds = _end(child)
    shutil.rmtree(folder, ignore_errors=True)
    control.sendall(json.dumps({"status": status, "cpu_seconds": cpu_seconds}).encode())


def _become_candidate(
    control: socket.socket, limits: Limits, descriptors: list[int], rights: Rights | None, folder: str
) -> None:
    try:
        control.close()
        calls, replies = descriptors
        request = receive(calls)
        confine(limits, folder)
        if rights is not None:
            become(rights)
        serve(request["source"], request["entry_point"], calls, replies)
    finally:
        os._exit(1)


def _end(child: int) -> tuple[int, float]:
    """Kill the child's process group and every descendant that left it; return the child's status and CPU seconds."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            for stray in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(stray, signal.SIGKILL)
            os.waitpid(-1, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _children() -> list[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(word) for word in listing.read_text().split()] if listing.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
