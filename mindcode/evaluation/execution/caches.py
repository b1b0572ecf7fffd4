"""What a language needs is built once and kept: $XDG_CACHE_HOME/mindcode/languages/<language>-<hash>.

The hash covers this package's part and the version of the compiler. A build that was interrupted has no commands.json
and is made again. A build that nobody has used for a month is removed when a new one is made.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import DATA, Commands
from mindcode.evaluation.execution.assembly.tools import call, find_tool
from mindcode.evaluation.execution.languages import LANGUAGES, Language
from mindcode.utils.atomic import atomic_open
from mindcode.utils.cache import cache_folder, locked

BUILDS = "languages"
"""What the folder of the builds is called in the cache."""
_KEPT_SECONDS = 30 * 24 * 3600


def commands_of(name: str) -> Commands:
    """Return how programs of a language are compiled and run, built if need be. Raises NotBuiltError."""
    language = LANGUAGES[name]
    folder = cache_folder(BUILDS) / f"{name}-{_hash(language)}"
    with locked(folder):
        stored = folder / "commands.json"
        if not stored.exists():
            _build(language, folder)
            _forget_unused(folder.parent)
        return _read(stored)


def _build(language: Language, folder: Path) -> None:
    build = folder / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    commands = language.prepare(build)
    with atomic_open(folder / "commands.json") as stream:
        json.dump(asdict(commands), stream)


def _forget_unused(builds: Path) -> None:
    """Remove builds whose lock, which every use writes, is old."""
    for lock in builds.glob("*/lock"):
        if time.time() - lock.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(lock.parent, ignore_errors=True)


def _read(path: Path) -> Commands:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Commands(
        run=tuple(content["run"]),
        compile=tuple(tuple(command) for command in content["compile"]),
        server=tuple(content["server"]),
        files=content["files"],
        environment=content["environment"],
    )


def _hash(language: Language) -> str:
    tool, *arguments = language.version
    parts = [find_tool(tool).encode(), call(tool, *arguments).encode()]
    parts += [path.read_bytes() for folder in (DATA, DATA.parent) for path in sorted(folder.glob("*.*"))]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
