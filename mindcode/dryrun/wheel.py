"""What the Ascend libraries of the installed MindSpore wheel need and the machine does not have. Imports no MindSpore.

libraries = ascend_libraries(mindspore_folder())
missing_symbols(libraries), missing_libraries(libraries)
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mindcode.dryrun.cann import KERNEL, LOOKED_UP, MAIN_LIBRARY, OPENED_BY_NAME, WORKSPACE
from mindcode.runtime.simulation import TOOLS
from mindcode.utils.errors import UserError

SYSTEM = (
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libgomp.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libz.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
)
"""Libraries of the system that MindSpore's may need."""


def check_tools() -> None:
    """Raise UserError for a program that is not installed."""
    for program, package in TOOLS.items():
        if shutil.which(program) is None:
            raise UserError(f"{program}: not found, and a dry run needs it; install it (apt-get install {package})")


def mindspore_folder() -> Path:
    """Return the installed package's folder, found without importing it; UserError without Ascend libraries."""
    found = importlib.util.find_spec("mindspore")
    if found is None or found.origin is None:
        raise UserError("mindspore: not installed; install mindspore==2.9.0")
    return Path(found.origin).parent


def ascend_libraries(folder: Path) -> list[Path]:
    """Return the libraries that call CANN; UserError when the wheel has none."""
    plugin = folder / "lib" / "plugin"
    patterns = (
        "libmindspore_ascend.so*",
        "libmindspore_ops_ascend.so",
        "ascend/*.so",
        "ascend/ms_kernels_*/**/lib/*.so",
    )
    libraries = [path for pattern in patterns for path in sorted(plugin.glob(pattern))]
    if not libraries:
        raise UserError(f"{plugin}: no Ascend libraries in this MindSpore; install the wheel of 2.9.0 for Linux")
    return libraries


def missing_symbols(folder: Path, libraries: Sequence[Path]) -> set[str]:
    """Return the names of CANN's functions and objects: what nobody on this machine defines."""
    program = Path(sys.executable).resolve()
    definers = [*sorted((folder / "lib").glob("*.so*")), *libraries, *folder.glob("_c_*.so"), program]
    definers += _system_libraries().values()
    with ThreadPoolExecutor() as pool:
        defined = set().union(*pool.map(_defined, definers))
        undefined = set().union(*pool.map(_undefined, libraries))
        looked_up = set().union(*pool.map(_looked_up, libraries))
    undefined = {name for name in undefined if not name.startswith(("Py", "_Py"))}
    return (undefined | looked_up) - defined


def missing_libraries(folder: Path, libraries: Sequence[Path]) -> set[str]:
    """Return the names of CANN's libraries but the main one."""
    own = {path.name for path in [*(folder / "lib").rglob("*.so*"), *folder.glob("*.so")]}
    needed = {name for path in libraries for name in _needed(path) if not name.startswith(("lib_c_", "_c_"))}
    return (needed | set(OPENED_BY_NAME)) - own - set(_system_libraries()) - {MAIN_LIBRARY}


def _system_libraries() -> dict[str, Path]:
    """Return those of SYSTEM that the compiler finds."""
    found = {name: Path(_output("gcc", f"-print-file-name={name}").strip()) for name in SYSTEM}
    return {name: path for name, path in found.items() if path.is_absolute()}


def _defined(path: Path) -> set[str]:
    return {name for _, name in _symbols(path, "--defined-only")}


def _undefined(path: Path) -> set[str]:
    """Names that must be there for the library to load; a `w` may be missing."""
    return {name for kind, name in _symbols(path, "--undefined-only") if kind == "U"}


def _symbols(path: Path, which: str) -> Iterable[tuple[str, str]]:
    for line in _output("nm", "-D", which, str(path)).splitlines():
        *_, kind, name = line.split()
        yield kind, name.partition("@")[0]


def _looked_up(path: Path) -> set[str]:
    names = {found.decode() for found in LOOKED_UP.findall(path.read_bytes())}
    kernels = {name for name in names if name.startswith(KERNEL) and not name.endswith(WORKSPACE)}
    return names | {name + WORKSPACE for name in kernels}


def _needed(path: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", _output("readelf", "-dW", str(path)))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
