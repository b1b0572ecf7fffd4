"""Checks of cores, memory, disks and limits."""

import os
import tempfile
from pathlib import Path

from mindcode.doctor.finding import Finding, not_applicable, ok, problem, warning
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Needs
from mindcode.runtime.env import COMPILER_FOLDERS

GB = 1e9
SHARED = {"nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "cifs", "smb3", "9p", "dpc", "afs", "ocfs2"}
"""File systems that several machines see at once, besides those of FUSE (fuse.sshfs, fuse.juicefs, ...)."""
ROOM_FOR_A_TRIAL = 5 * GB
"""Room that is asked for when it is not known what the run writes."""
CHECKPOINTS = "checkpoint"
"""Where a run that has begun keeps its own; only one more than those is written."""
HOST_BYTES = 4 * GB
"""Memory of the machine for each process: compiling the graph of 34B layers took 3.6 GiB a process."""
SHM_BYTES = 1 * GB
"""Docker's default is 64 MB, too little for the processes of one machine that share memory."""
FILES_OF_ANY, FILES_PER_RANK = 512, 64
"""Open files: what a process has anyway; sockets to the others and their checkpoints, when it reads those."""
THREADS_PER_PROCESS = 512


def cores(machine: Machine, needs: Needs) -> Finding:
    """Whether each process has a core."""
    found = f"{machine.cores} for {needs.local_worker_num} {'processes' if needs.local_worker_num > 1 else 'process'}"
    if machine.cores < needs.local_worker_num:
        return warning(found, "processes will take turns; start fewer of them here")
    return ok(found)


def memory(machine: Machine, needs: Needs) -> Finding:
    """Whether the machine's memory is enough for the processes here."""
    available, limit = _available(machine), _container_limit(machine)
    if not available:
        return not_applicable("no /proc/meminfo")
    each = HOST_BYTES if needs.ascend else needs.process_bytes
    found = f"{min(available, limit) / GB:.1f} GB available"
    found += ", by the container's limit" if limit < available else ""
    if not each:
        return ok(found)
    found += (
        f", at least {each * needs.local_worker_num / GB:.1f} GB needed ({needs.local_worker_num} x {each / GB:.2f})"
    )
    if each * needs.local_worker_num > min(available, limit):
        return (warning if needs.ascend else problem)(found, "fewer processes on this machine, or a smaller model")
    return ok(found)


def shared_memory(machine: Machine, needs: Needs) -> Finding:
    """Room for what processes of one machine share."""
    if needs.local_worker_num == 1:
        return not_applicable("one process")
    if not machine.at("/dev/shm").is_dir():
        return not_applicable("no /dev/shm")
    free = machine.free_bytes(machine.at("/dev/shm"))
    if free < SHM_BYTES:
        return warning(
            f"{free / GB:.2f} GB in /dev/shm", "docker run --shm-size=16g, or mount -o remount,size=16g /dev/shm"
        )
    return ok(f"{free / GB:.1f} GB in /dev/shm")


def disk(machine: Machine, needs: Needs) -> Finding:
    """Room for the checkpoints, where the output goes."""
    output = machine.at(needs.output_dir.absolute())
    if output.is_file():
        return problem(f"{output} is a file", "give a folder as --output_dir, new or old")
    place = _nearest_folder(output)
    if not os.access(place, os.W_OK):
        return problem(f"{place} may not be written", "give an --output_dir that is yours")
    free = machine.free_bytes(place)
    found = f"{free / GB:.1f} GB free at {place}"
    if needs.checkpoint_bytes:
        more = 1 if (output / CHECKPOINTS).is_dir() else needs.checkpoints
        wanted = more * needs.checkpoint_bytes
        found += f", {wanted / GB:.1f} GB for {more} {'checkpoints' if more > 1 else 'more checkpoint'}"
        if free < wanted:
            return problem(found, "another --output_dir, or a smaller keep_checkpoint_max")
    elif free < ROOM_FOR_A_TRIAL:
        return warning(found, "make room, or give another --output_dir")
    return ok(found)


def shared_storage(machine: Machine, needs: Needs) -> Finding:
    """Whether other machines see the output too, as they must."""
    kind = _file_system(machine, needs.output_dir.absolute())
    if needs.nodes == 1:
        return not_applicable(f"one machine ({kind})")
    if kind in SHARED or kind.startswith("fuse."):
        return ok(f"{kind} at {needs.output_dir}")
    return problem(f"{kind} at {needs.output_dir}: other machines do not see it", "an --output_dir on NFS or the like")


def limits(machine: Machine, needs: Needs) -> Finding:
    """Open files of a process, processes and threads of this user."""
    wanted = {
        "nofile": FILES_OF_ANY + FILES_PER_RANK * needs.worker_num,
        "nproc": THREADS_PER_PROCESS * (needs.local_worker_num + 1),
    }
    flags = {"nofile": "-n", "nproc": "-u"}
    low = [name for name in wanted if 0 <= machine.limits[name] < wanted[name]]
    found = ", ".join(f"{name} {machine.limits[name] if machine.limits[name] >= 0 else 'unlimited'}" for name in wanted)
    if low:
        return warning(found, "; ".join(f"ulimit {flags[name]} {wanted[name]}" for name in low))
    return ok(found)


def compiler_cache(machine: Machine, needs: Needs) -> Finding:
    """Whether MindSpore's compiler can write what it keeps."""
    named = next((machine.environment[name] for name in COMPILER_FOLDERS if machine.environment.get(name)), None)
    place = _nearest_folder(machine.at(named or machine.environment.get("TMPDIR") or tempfile.gettempdir()))
    if not os.access(place, os.W_OK):
        return problem(f"{place} may not be written", f"export {COMPILER_FOLDERS[0]}=a folder that is yours")
    free = machine.free_bytes(place)
    if free < GB:
        return warning(f"{free / GB:.1f} GB free at {place}", f"export {COMPILER_FOLDERS[0]}=a folder with more room")
    return ok(f"{free / GB:.1f} GB free at {place}")


def _available(machine: Machine) -> float:
    for line in machine.text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return 0.0


def _container_limit(machine: Machine) -> float:
    """Return the control group's limit; infinity when there is none."""
    names = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    numbers = [float(text) for text in (machine.text(name).strip() for name in names) if text.isdecimal()]
    return min(numbers, default=float("inf"))


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _file_system(machine: Machine, path: Path) -> str:
    """Return the type of the file system that holds `path`, by the longest mount point above it."""
    best, kind = -1, "unknown"
    for line in machine.text("/proc/mounts").splitlines():
        _, point, found = line.split()[:3]
        mounted = Path(point.replace("\\040", " "))
        if (mounted == path or mounted in path.parents) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), found
    return kind
