"""The judged side: runs generated source in a locked-in process and answers calls with plain values.

Everything here is in the hands of the generated code as soon as that runs; nobody relies on what it says beyond the
values themselves.
"""

import os
from typing import Any, NoReturn

from mindcode.evaluation.execution.values import NotPlainError, decode, encode, receive, send


def serve(request: dict[str, Any], calls: int, replies: int) -> NoReturn:
    """Execute the requested program, then call its function once for each frame of `calls` until the pipe closes."""
    namespace: dict[str, Any] = {}
    try:
        program = compile(request["source"], "<candidate>", "exec", dont_inherit=True)
    except BaseException as error:
        send(replies, {**_failure(error), "stage": "compile"})
        os._exit(1)
    try:
        exec(program, namespace)
        send(replies, {"ready": request["entry_point"] in namespace})
        while True:
            send(replies, _call(namespace[request["entry_point"]], receive(calls)))
    except EOFError:
        os._exit(0)
    except BaseException as error:
        send(replies, _failure(error))
        os._exit(1)


def _call(function: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": encode(function(*decode(request["args"]), **decode(request["kwargs"])))}
    except NotPlainError as error:
        return {"error": ["TypeError", str(error)]}
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> dict[str, Any]:
    return {"error": [type(error).__name__, str(error)[:500]]}
