"""The most memory that this process has used so far.

peak_memory_bytes("CPU")
"""

import resource
import sys
from pathlib import Path

import mindspore as ms

from mindcode.utils.lookup import lookup

_STATUS = Path("/proc/self/status")


def peak_memory_bytes(device_target: str) -> int:
    """Return the peak of the resident memory on a CPU, of what MindSpore took from the NPU on Ascend."""
    return lookup(_PEAKS, device_target, "context.device_target")()


def _resident() -> int:
    """The kernel's high-water mark; getrusage, its substitute outside Linux, also counts the parent's before exec."""
    if _STATUS.exists():
        return int(_STATUS.read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reserved() -> int:
    return int(ms.runtime.max_memory_reserved())


_PEAKS = {"CPU": _resident, "Ascend": _reserved}
