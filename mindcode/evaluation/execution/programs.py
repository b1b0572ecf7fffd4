"""The judged side of compiled languages: compiles a program in its private folder and becomes it.

Nothing generated runs in this process before the last line; a compiler only reads the program.
"""

import os
from base64 import b64decode
from pathlib import Path
from typing import Any, NoReturn

from mindcode.evaluation.execution.limits import Limits, Rights, become, share_rights, tighten
from mindcode.evaluation.execution.system_calls import restrict
from mindcode.evaluation.execution.values import send

_MESSAGES = "messages"
_KEPT_CHARACTERS = 4000


def run_program(request: dict[str, Any], calls: int, replies: int) -> NoReturn:
    """Write and compile the requested files, say whether that went well, and execute the result.

    The program has the pipe `calls` as its input and `replies` as both of its outputs.
    """
    share_rights()
    environment = {**request["environment"], "TMPDIR": os.getcwd(), "HOME": os.getcwd()}
    for name, content in request["files"].items():
        Path(name).write_bytes(b64decode(content))
    for command in request["compile"]:
        status = _outcome(command, environment)
        if status != 0:
            text = Path(_MESSAGES).read_text(encoding="utf-8", errors="replace")[:_KEPT_CHARACTERS]
            send(replies, {"compiled": False, "status": status, "text": text})
            os._exit(1)
    if request["compile"]:
        _keep_only("program")
    send(replies, {"compiled": True})
    tighten(Limits(**request["limits"]))
    become(Rights(os.geteuid()))
    restrict()
    os.dup2(calls, 0)
    os.dup2(replies, 1)
    os.dup2(replies, 2)
    os.execve(request["run"][0], request["run"], environment)


def _outcome(command: list[str], environment: dict[str, str]) -> int:
    """Return the exit code of a compiler; subprocess would be in the memory of every sample, and is not needed."""
    messages = (os.POSIX_SPAWN_OPEN, 1, _MESSAGES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    both = (os.POSIX_SPAWN_DUP2, 1, 2)
    process = os.posix_spawn(command[0], command, environment, file_actions=[messages, both])
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _keep_only(name: str) -> None:
    """Leave one file in the folder: a program finds neither its source nor the tests."""
    others = [entry for entry in os.listdir() if entry != name]
    os.spawnvp(os.P_WAIT, "rm", ["rm", "-rf", "--", *others])
