"""Environment variables that MindSpore's compiler reads."""

import os
import tempfile
from pathlib import Path

COMPILER_FOLDERS = ("MS_OM_PATH", "MS_COMPILER_CACHE_PATH")
"""Where a failed compilation leaves its graph, and where compiled kernels are kept; by default the current folder."""


def worker_number() -> int:
    """Return which worker of its job this process is, by what the launcher set; 0 for a process alone."""
    return int(os.environ.get("RANK_ID") or os.environ.get("MS_NODE_ID") or 0)


def keep_compiler_files_out_of_sight() -> None:
    """Send the compiler's files to a folder of this user under the system's temporary folder, unless told otherwise."""
    folder = Path(tempfile.gettempdir()) / f"mindcode-{os.getuid()}"
    for variable in COMPILER_FOLDERS:
        os.environ.setdefault(variable, str(folder))


def dump_graphs(level: int, folder: str) -> None:
    """Have the compiler write its graphs to `folder`: 1 the most important ones, 2 all, 3 all and as diagrams."""
    os.environ["MS_DEV_SAVE_GRAPHS"] = str(level)
    os.environ["MS_DEV_SAVE_GRAPHS_PATH"] = folder


def use_kernels_of_cann(*operations: str) -> None:
    """Have NPUs keep to CANN's kernels of these operations in inference, unless told otherwise."""
    os.environ.setdefault("MS_DISABLE_INTERNAL_KERNELS_LIST", ",".join(operations))
