"""Puts MindSpore into the mode and on the device that a configuration asks for. The only place that does."""

import mindspore as ms

from mindcode.config.schema import ContextConfig
from mindcode.utils.errors import UserError

DEVICES = ("Ascend", "CPU")


def set_context(context: ContextConfig) -> None:
    """Set graph mode, device and compiler level; the same settings may be set again.

    Raises UserError for a mode or device that is not supported.
    """
    if context.mode != 0:
        raise UserError(f"context.mode: {context.mode} is not supported; use 0 (graph mode)")
    if context.device_target not in DEVICES:
        raise UserError(f"context.device_target: {context.device_target!r} is not one of {', '.join(DEVICES)}")
    ms.set_context(
        mode=ms.GRAPH_MODE,
        max_call_depth=context.max_call_depth,
        save_graphs=context.save_graphs,
        save_graphs_path=context.save_graphs_path,
    )
    DEVICE_SETTERS[context.device_target](context)


def _use_cpu(context: ContextConfig) -> None:
    ms.set_device("CPU")


def _use_ascend(context: ContextConfig) -> None:
    ms.set_device("Ascend", context.device_id)
    ms.set_context(max_device_memory=context.max_device_memory, jit_config={"jit_level": context.jit_level})


DEVICE_SETTERS = {"CPU": _use_cpu, "Ascend": _use_ascend}
