"""Puts MindSpore into the mode and on the device that a configuration asks for. The only place that does."""

import os

import mindspore as ms

from mindcode.config.schema import ContextConfig
from mindcode.runtime.env import dump_graphs, keep_compiler_files_out_of_sight, use_kernels_of_cann
from mindcode.runtime.simulation import refuse_simulation
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup


def set_context(context: ContextConfig) -> None:
    """Set graph mode, device and compiler level; the same settings may be set again.

    Raises UserError for a mode or device that is not supported, and in an environment where nothing would be computed.
    """
    refuse_simulation(os.environ)
    set_context_of_simulation(context)


def set_context_of_simulation(context: ContextConfig) -> None:
    """Do the same in a process that is meant to compute nothing: a rank of a dry run."""
    if context.mode != 0:
        raise UserError(f"context.mode: {context.mode} is not supported; use 0 (graph mode)")
    use_device = lookup(DEVICE_SETTERS, context.device_target, "context.device_target")
    keep_compiler_files_out_of_sight()
    if context.save_graphs:
        dump_graphs(int(context.save_graphs), context.save_graphs_path)
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_recursion_limit(context.max_call_depth)
    use_device(context)


def use_inference_kernels() -> None:
    """Let NPUs take MindSpore's kernels for inference; among them is the only one of PagedAttention.

    That of FlashAttentionScore has rules of its own for masks and lengths; CANN's keeps to the documented ones.
    """
    use_kernels_of_cann("FlashAttentionScore")
    ms.set_context(jit_config={"jit_level": "O0", "infer_boost": "on"})


def _use_cpu(context: ContextConfig) -> None:
    ms.set_device("CPU")


def _use_ascend(context: ContextConfig) -> None:
    try:
        ms.set_device("Ascend", _npu(context))
    except RuntimeError as error:
        reason = " ".join(str(error).split(". ")[0].split())
        raise UserError(
            f"context.device_target: Ascend, and there is none for MindSpore here ({reason}); give --device_target CPU "
            "or see what mindcode doctor says"
        ) from error
    ms.runtime.set_memory(max_size=context.max_device_memory)
    ms.set_context(jit_config={"jit_level": context.jit_level})


def _npu(context: ContextConfig) -> int:
    """Return which NPU is this process': every worker of a job has its own, a process alone has the configured one."""
    is_worker = os.environ.get("MS_ROLE") == "MS_WORKER"
    return int(os.environ.get("DEVICE_ID", context.device_id)) if is_worker else context.device_id


DEVICE_SETTERS = {"CPU": _use_cpu, "Ascend": _use_ascend}
