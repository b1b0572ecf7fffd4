"""A filter of system calls (seccomp): none that opens a socket, reaches another process or makes namespaces.

It needs no rights and holds in containers, too, where namespaces are refused. Calls that are filtered fail with EPERM.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Mapping, Sequence

# by machine: its name in linux/audit.h, and the number of seccomp(2)
_MACHINES: Mapping[str, tuple[int, int]] = {"x86_64": (0xC000003E, 317), "aarch64": (0xC00000B7, 277)}
_COLUMNS = tuple(_MACHINES)
_FORBIDDEN: Mapping[str, tuple[int, int]] = {
    "socket": (41, 198),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
# allowed when the first argument is the process itself, or 0, which means itself or its own group
_ONLY_ON_ITSELF: Mapping[str, tuple[int, int]] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
}
# linux/bpf_common.h, linux/seccomp.h; offsets are those of struct seccomp_data
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_SET_MODE_FILTER, _SPEC_ALLOW = 1, 1 << 2
_OTHER_NUMBERING = 0x40000000

_Instruction = tuple[int, int, int, int]


def restrict() -> bool:
    """Filter the calls of this process from here on, also in what it starts; return whether that worked.

    The process must have given up gaining rights (limits.become).
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _MACHINES:
        return False
    _, seccomp = _MACHINES[machine]
    program = _program(machine, os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    outcome = ctypes.CDLL(None).syscall(seccomp, _SET_MODE_FILTER, _SPEC_ALLOW, header)
    return bool(outcome == 0)


def _program(machine: str, process: int) -> Sequence[_Instruction]:
    """Return the filter: (code, instructions to skip if true, and if false, value)."""
    column = _COLUMNS.index(machine)
    forbidden = [numbers[column] for numbers in _FORBIDDEN.values()]
    own = [numbers[column] for numbers in _ONLY_ON_ITSELF.values()]
    # ... allow | load the argument, is it 0, is it the process | refuse | allow
    end = [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, 2, 0, 0),
        (_IF_EQUAL, 1, 0, process),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    to_argument, to_refusal = 1, 4
    program: list[_Instruction] = end
    for place, number in enumerate(reversed(own)):
        program = [(_IF_EQUAL, place + to_argument, 0, number), *program]
    for place, number in enumerate(reversed(forbidden), len(own)):
        program = [(_IF_EQUAL, place + to_refusal, 0, number), *program]
    checked = len(own) + len(forbidden)
    start = [
        (_LOAD, 0, 0, _MACHINE),
        (_IF_EQUAL, 0, checked + 2 + to_refusal, _MACHINES[machine][0]),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, checked + to_refusal, 0, _OTHER_NUMBERING),
    ]
    return [*start, *program]
