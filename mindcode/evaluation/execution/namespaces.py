"""Linux namespaces: a view of the machine without network and other processes, with one small folder to write to.

They need root, or a kernel that lets users make namespaces of their own; elsewhere nothing changes. Numbers are those
of linux/sched.h and linux/mount.h.
"""

import ctypes
import os
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from mindcode.evaluation.execution.kernel import works_in_a_child
from mindcode.evaluation.execution.limits import end_with_parent

SCRATCH = "/dev/shm"
"""Where samples write: a memory file system of our own, mounted over the machine's."""
_SCRATCH_OPTIONS = b"size=256m,nr_inodes=16k,mode=0711"

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2 | 4, 8, 1 << 14, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY_NOSUID = 442, -100, 0x8000, 1 | 2


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def enter() -> tuple[str, ...]:
    """Move the calling process into namespaces of its own and return what they protect.

    With `processes` the caller goes on as a child of itself, the first process of its namespace: when it ends, the
    kernel ends all others. Raises nothing: what the kernel does not allow is not in the result.
    """
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    # some systems make the namespaces and then refuse what they are for
    if libc is None or not works_in_a_child(partial(_unshare, libc)):
        return ()
    _unshare(libc)
    child = os.fork()
    if child:
        _end_with(child)
    end_with_parent()
    held = {"network": True, "processes": _own_proc(libc), "files": _read_only_files(libc)}
    return tuple(name for name, holds in held.items() if holds)


def _unshare(libc: ctypes.CDLL) -> bool:
    user, group = os.geteuid(), os.getegid()
    spaces = _NEW_MOUNTS | _NEW_PIDS | _NEW_NETWORK | _NEW_IPC | _NEW_HOST_NAME
    if libc.unshare(spaces if user == 0 else spaces | _NEW_USER) != 0:
        return False
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return bool(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0)


def _end_with(child: int) -> NoReturn:
    """Keep nothing open, so that the judge sees the child end, and end when it does."""
    os.closerange(3, 1 << 16)
    os.waitpid(child, 0)
    os._exit(0)


def _own_proc(libc: ctypes.CDLL) -> bool:
    return bool(libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID_NODEV | _MS_NOEXEC, None) == 0)


def _read_only_files(libc: ctypes.CDLL) -> bool:
    """Make every mounted file system read-only and put an empty small one over SCRATCH (Linux 5.12 and later)."""
    attributes = _MountAttributes(set=_READ_ONLY_NOSUID)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    changed = libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size)
    mounted = libc.mount(b"tmpfs", SCRATCH.encode(), b"tmpfs", _MS_NOSUID_NODEV, _SCRATCH_OPTIONS)
    return bool(changed == 0 and mounted == 0)
