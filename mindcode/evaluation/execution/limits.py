"""What a process that runs generated code may use, and how it is locked in before the first line runs."""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from mindcode.evaluation.execution.kernel import prctl, works_in_a_child

_MIB = 1024 * 1024
_FIRST_UNPRIVILEGED_USER = 60_000
# linux/capability.h and linux/prctl.h
_CAP_DAC_READ_SEARCH = 2
_READ_ANY_FILE = 1 << _CAP_DAC_READ_SEARCH
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2

# numerical libraries start threads when they are imported, which the process limit forbids
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Limits:
    """Bounds for one sample."""

    cpu_seconds: float = 3.0
    """Processor time, the measure that does not depend on what else the machine does."""
    memory_bytes: int = 2048 * _MIB
    """Address space."""
    data_bytes: int = 2048 * _MIB
    """Private memory in use, for run times that reserve more address space than they use."""
    file_bytes: int = 16 * _MIB
    """Size of a file written."""
    open_files: int = 64
    processes: int = 0
    """Further processes and threads."""
    patience: float = 1.0
    """By how much the clock may run longer because others use the machine."""

    @property
    def wall_seconds(self) -> float:
        """Time on the clock: generous, for code that waits instead of computing."""
        return self.patience * (2 * self.cpu_seconds + 1)


@dataclass(frozen=True)
class Rights:
    """The user that generated code runs as, and the capabilities (a bit mask) that it keeps."""

    user: int
    capabilities: int = 0

    @property
    def other_user(self) -> bool:
        """Whether that is not who we are."""
        return self.user != os.geteuid()


def confine(limits: Limits, folder: str) -> None:
    """Lock the calling process in: own session, private folder, no input or output, no other user's rights, limits."""
    os.setsid()
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    tighten(limits)


def empty_environment() -> None:
    """Forget all variables, for this process and its children."""
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)


def tighten(limits: Limits) -> None:
    """Lower what the calling process may use; nothing is raised."""
    _limit(resource.RLIMIT_CPU, ceil(limits.cpu_seconds), grace=1)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_DATA, limits.data_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, limits.processes)


def _limit(kind: int, value: int, grace: int = 0) -> None:
    """Lower the soft limit to `value` and the hard one to `grace` above it; a lower hard limit stays."""
    _, hard = resource.getrlimit(kind)
    ceiling = value + grace if hard == resource.RLIM_INFINITY else min(value + grace, hard)
    resource.setrlimit(kind, (min(value, ceiling), ceiling))


def find_rights(needed: Sequence[str] = ()) -> Rights:
    """Return what generated code runs as: this user, or, where that is root, one without privileges.

    The process limit does not hold for root, and root could write anywhere, so root gives its rights up. Where Python
    itself or a `needed` folder can only be entered by root, the right to read files is kept.
    """
    if os.geteuid() != 0:
        return Rights(os.geteuid())
    user = _FIRST_UNPRIVILEGED_USER + os.getpid() % 5000
    folders = [path for path in (*sys.path, *needed) if path and Path(path).is_dir()]
    for rights in (Rights(user), Rights(user, _READ_ANY_FILE)):
        if works_in_a_child(partial(_can_read_with, rights, folders)):
            return rights
    return Rights(os.geteuid())


def become(rights: Rights) -> None:
    """Give up root, for good: another user, no capabilities but those named, and no way to gain any."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if rights.other_user:
        prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setgid(rights.user)
        os.setuid(rights.user)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("6I", *[rights.capabilities] * 3, 0, 0, 0)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def share_rights() -> None:
    """Let the programs that the calling process starts read what it can read, until it becomes somebody else."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def hide_memory() -> None:
    """Let no process of the same user read or trace the calling one."""
    prctl(_PR_SET_DUMPABLE, 0)


def end_with_parent() -> None:
    """Have the kernel kill the calling process when its parent ends, however that happens."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own one ends, so that they can be found."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _can_read_with(rights: Rights, folders: list[str]) -> bool:
    become(rights)
    for folder in folders:
        os.listdir(folder)
    return True
