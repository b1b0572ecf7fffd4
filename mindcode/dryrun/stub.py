"""A stub of CANN, with which MindSpore compiles for Ascend on a machine without one: built once, kept in the cache.

    folder = ensure_stub()        # ~/.cache/mindcode/cann-stub/<fingerprint>/latest, some 15 s at the first call

Every function of the stub returns 0 and nothing that it "computes" means anything: it serves MS_SIMULATION_LEVEL only.
It is found by the children of a dry run (environment.py) and by nobody else.
"""

import hashlib
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from mindcode.dryrun import cann, wheel
from mindcode.runtime.simulation import MARKER
from mindcode.utils.atomic import atomic_dir
from mindcode.utils.cache import cache_folder, locked
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

STUBS = "cann-stub"
"""What the folder of the stubs is called in the cache."""
HOME, LIBRARIES, PYTHON = "latest", "lib64", "python"
"""The stub's folder, and folders in it: MindSpore cuts the loader's path to CANN's libraries at the word latest."""
_DATA = re.compile(r"_ZT[VIST]|_ZG[VR]")
"""Mangled names of objects: tables of virtual functions, type information, guards."""
_OBJECT_BYTES = 512


def ensure_stub() -> Path:
    """Return the stub's folder, built if there is none for the installed MindSpore yet.

    Several processes may call this at once: the first one builds, the others wait. Raises UserError when a tool is
    missing or the compiler fails.
    """
    mindspore = wheel.mindspore_folder()
    libraries = wheel.ascend_libraries(mindspore)
    folder = cache_folder(STUBS) / _fingerprint(libraries)
    if folder.is_dir():
        return folder / HOME
    wheel.check_tools()
    with locked(folder.parent):
        if not folder.is_dir():
            get_logger().info("building a stub of CANN, once for this MindSpore: %s", folder)
            with atomic_dir(folder) as new:
                _build(new / HOME, mindspore, libraries)
    return folder / HOME


def _fingerprint(libraries: Sequence[Path]) -> str:
    """Return what changes with MindSpore's libraries and with the sources of the stub."""
    digest = hashlib.sha256()
    for path in libraries:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
    for name in ("cann.py", "wheel.py", "stub.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path, mindspore: Path, libraries: Sequence[Path]) -> None:
    symbols = wheel.missing_symbols(mindspore, libraries)
    objects = _objects_source(symbols)
    place = folder / LIBRARIES
    place.mkdir(parents=True)
    compiled = folder / "objects.o"
    old_strings = "-D_GLIBCXX_USE_CXX11_ABI=0"  # as CANN and MindSpore are built
    _compile(
        ["g++", "-O1", "-fPIC", "-std=c++17", old_strings, "-x", "c++", "-", "-c", "-o", str(compiled)], objects.text
    )
    main = place / cann.MAIN_LIBRARY
    _library(main, _zero_source(symbols - objects.done), [str(compiled), "-lstdc++", "-lc"])
    compiled.unlink()
    for name in sorted(wheel.missing_libraries(mindspore, libraries)):
        _library(place / name, "", [str(main)])
    (place / MARKER).write_text("A stub of CANN for dry runs. Nothing that it computes means anything.\n")
    package = folder / PYTHON / "hccl"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sys_version.py").write_text(f"__sys_version__ = '{cann.VERSION}'\n")
    (folder / "opp").mkdir()
    (folder / "version.info").write_text(f"Version={cann.VERSION}\nversion_dir={cann.VERSION}\n")


class _Objects:
    """C++ source for the symbols that must leave or return something."""

    def __init__(self) -> None:
        self._lines, self.done = [cann.OBJECTS], set[str]()

    def add(self, symbol: str, result: str, arguments: str, body: str) -> None:
        """Define `symbol` under a name of its own."""
        name = f"stub_{len(self.done)}"
        self._lines.append(f'extern "C" {result} {name}({arguments}) __asm__("{symbol}");')
        self._lines.append(f"{result} {name}({arguments}) {{ {body} }}")
        self.done.add(symbol)

    @property
    def text(self) -> str:
        """The source."""
        return "\n".join(self._lines) + "\n"


def _objects_source(symbols: Iterable[str]) -> _Objects:
    source = _Objects()
    for symbol in sorted(symbols):
        if symbol in cann.ANSWERS:
            source.add(symbol, *cann.ANSWERS[symbol])
        elif kind := _row(cann.CONSTRUCTORS, symbol):
            source.add(symbol, "void", f"{kind} *self", f"new (self) {kind}();")
        elif kind := _row(cann.RETURNS, symbol):
            source.add(symbol, kind, "void", 'return "";' if kind == "const char *" else f"return {kind}();")
    return source


def _row(table: dict[str, str], symbol: str) -> str | None:
    return next((value for pattern, value in table.items() if re.match(pattern, symbol)), None)


def _zero_source(symbols: Iterable[str]) -> str:
    """Return assembly in which every function returns 0 and every object is zeros.

    Each function has a body of its own: some callers compare addresses.
    """
    is_arm = platform.machine() in ("aarch64", "arm64")
    mark, body = ("%", "mov x0, #0\n ret") if is_arm else ("@", "xorl %eax, %eax\n ret")
    names = sorted(symbols)
    lines = [".text", ".p2align 4"]
    for name in names:
        if not _DATA.match(name):
            lines += [
                f".globl {name}",
                f".type {name}, {mark}function",
                f"{name}:",
                f" {body}",
                f".size {name}, .-{name}",
            ]
    lines += [".data", ".p2align 4"]
    for name in names:
        if _DATA.match(name):
            lines += [f".globl {name}", f".type {name}, {mark}object", f"{name}:", f" .zero {_OBJECT_BYTES}"]
            lines += [f".size {name}, {_OBJECT_BYTES}"]
    return "\n".join(lines) + "\n"


def _library(path: Path, assembly: str, extra: Sequence[str]) -> None:
    """Link a shared library that keeps all of `extra` among what it needs."""
    flags = ["-shared", "-nostdlib", "-fPIC", f"-Wl,-soname,{path.name}", "-Wl,-z,noexecstack", "-Wl,--no-as-needed"]
    _compile(["gcc", *flags, "-o", str(path), "-x", "assembler", "-", "-x", "none", *extra], assembly)


def _compile(command: Sequence[str], source: str) -> None:
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.strip().splitlines()[-1:])
        raise UserError(f"{command[0]}: failed with code {done.returncode} while building the stub of CANN: {reason}")
