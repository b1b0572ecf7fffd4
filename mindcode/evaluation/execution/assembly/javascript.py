"""JavaScript: node runs a frame of ours, which is told answer and tests on its input, so that no file holds them."""

import json
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import DATA, Commands, Program, Secret, content_of
from mindcode.evaluation.execution.assembly.tools import find_tool
from mindcode.evaluation.types import Problem

_FRAME = "frame.js"


def assemble(problem: Problem, source: str, secret: Secret) -> Program:
    """Return the program; `console.assert`, which only prints, becomes a check that ends it."""
    check = f"{secret.name}_check"
    tests = problem.test.replace("console.assert(", f"{check}(")
    message = json.dumps({"answer": source, "tests": tests, "check": check})
    return Program({}, key=0, message=message)


def prepare(cache: Path) -> Commands:
    """Find node. Raises NotBuiltError without node."""
    del cache
    run = (find_tool("node"), "--max-old-space-size=1024", "--single-threaded", _FRAME)
    return Commands(run=run, files={_FRAME: content_of(DATA / _FRAME)})
