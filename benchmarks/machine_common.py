"""The line with which every benchmark begins."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Name the processor, its cores, the system, the Python, and what else is running."""
    model, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    for line in cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"machine: {model}, {os.cpu_count()} cores, {system}, load {os.getloadavg()[0]:.1f}"
