"""What the checks look at. They get it as an argument, so that a test can hand them another machine.

machine = this_machine()
machine.text("/proc/meminfo")
machine.run(("npu-smi", "info"), seconds=5)
"""

import importlib.metadata
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_NPU = "davinci"


class Ran(NamedTuple):
    """How a program ended."""

    code: int
    """Its exit code; 127 when there is no such program, 124 when it took too long."""
    text: str
    """What it wrote, standard error too."""


@dataclass(frozen=True)
class Machine:
    """Files, environment, programs, packages and limits of one machine."""

    root: Path
    """Where its file system begins."""
    environment: Mapping[str, str]
    python: tuple[int, int, int]
    cores: int
    """Cores that a process may use."""
    run: Callable[[Sequence[str], float], Ran]
    """Runs a program for at most so many seconds."""
    package_version: Callable[[str], str | None]
    """The version of an installed package."""
    module_folder: Callable[[str], Path | None]
    """Where `import name` would find it, without importing it."""
    free_bytes: Callable[[Path], int]
    """Room on the disk of a folder."""
    limits: Mapping[str, int]
    """nofile and nproc, the soft limits of `ulimit`; -1 means none."""

    def at(self, path: Path | str) -> Path:
        """Return where `path` lies on this machine."""
        return self.root / str(path).lstrip("/")

    def text(self, path: Path | str) -> str:
        """Return what a file holds, nothing when it cannot be read."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def npus(self) -> list[Path]:
        """Return the device files of the NPUs."""
        return sorted(path for path in self.at("dev").glob(f"{_NPU}*") if path.name.removeprefix(_NPU).isdecimal())


def this_machine() -> Machine:
    """Return the machine on which this runs."""
    return Machine(
        root=Path("/"),
        environment=dict(os.environ),
        python=sys.version_info[:3],
        cores=len(os.sched_getaffinity(0)),
        run=_run,
        package_version=_package_version,
        module_folder=_module_folder,
        free_bytes=lambda folder: shutil.disk_usage(folder).free,
        limits={
            "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "nproc": resource.getrlimit(resource.RLIMIT_NPROC)[0],
        },
    )


def _run(command: Sequence[str], seconds: float) -> Ran:
    """Run it in a folder that is thrown away, since MindSpore leaves files where it runs."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ran(124, "")
        except OSError as error:
            return Ran(127, str(error))
    return Ran(done.returncode, done.stdout)


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _module_folder(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None
