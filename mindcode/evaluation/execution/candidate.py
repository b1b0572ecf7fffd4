"""The judged side: runs generated source in a locked-in process and answers calls with plain values.

Everything here is in the hands of the generated code as soon as that runs; nobody relies on what it says beyond the
values themselves. Tests that need more than plain values run here too (Problem.needs_objects): then a nonce, read after
the last check, says that they were not skipped.
"""

import os
from typing import Any, NoReturn

from mindcode.evaluation.execution.system_calls import restrict
from mindcode.evaluation.execution.values import NotPlainError, decode, encode, receive, send


def serve(request: dict[str, Any], calls: int, replies: int) -> NoReturn:
    """Execute the requested program, then do what each frame of `calls` asks for until the pipe closes."""
    restrict()
    namespace: dict[str, Any] = {}
    try:
        program = compile(request["source"], "<candidate>", "exec", dont_inherit=True)
    except BaseException as error:
        send(replies, {**_failure(error), "stage": "compile"})
        os._exit(1)
    try:
        exec(program, namespace)
        send(replies, {"ready": request["entry_point"] in namespace})
        function = namespace[request["entry_point"]]
        while True:
            asked = receive(calls)
            send(
                replies,
                _check(asked["test"], namespace, function, calls) if "test" in asked else _call(function, asked),
            )
    except EOFError:
        os._exit(0)
    except BaseException as error:
        send(replies, _failure(error))
        os._exit(1)


def _check(test: str, namespace: dict[str, Any], function: Any, calls: int) -> dict[str, Any]:
    """Run the tests here and hand back the nonce, which stays in the pipe until the last check is over."""
    exec(compile(test, "<test>", "exec", dont_inherit=True), namespace)
    namespace["check"](function)
    return receive(calls)


def _call(function: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": encode(function(*decode(request["args"]), **decode(request["kwargs"])))}
    except NotPlainError as error:
        return {"error": ["TypeError", str(error)]}
    except BaseException as error:
        return _failure(error)


def _failure(error: BaseException) -> dict[str, Any]:
    return {"error": [type(error).__name__, str(error)[:500]]}
