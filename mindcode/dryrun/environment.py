"""The environment of a process that plays one NPU of a job. It is handed to that process and exported nowhere.

environment = simulated_rank(ensure_stub(), mindspore_folder(), rank=8, world_size=16)
subprocess.run([...], env={**os.environ, **environment})
"""

import os
from collections.abc import Iterable
from pathlib import Path

from mindcode.dryrun.stub import LIBRARIES, PYTHON
from mindcode.runtime.simulation import LEVEL, PATH

COMPILE_AND_ALLOCATE = "1"
"""The level at which MindSpore also chooses kernels and allocates simulated memory, but launches nothing."""

NO_OTHER_JOB = ("MS_ROLE", "MS_WORKER_NUM", "MS_SCHED_HOST", "MS_SCHED_PORT", "MS_NODE_ID", "RANK_TABLE_FILE")
"""Variables by which a process would look for others; empty ones count as absent."""


def simulated_rank(stub: Path, mindspore: Path, rank: int, world_size: int) -> dict[str, str]:
    """Return the variables of rank `rank` of `world_size`.

    The stub stands before everything else on the paths, also before a real CANN that the surroundings name.
    """
    plugins = mindspore / "lib" / "plugin"
    return {
        PATH: _first([stub / LIBRARIES, plugins / "ascend", plugins, mindspore / "lib"], PATH),
        "PYTHONPATH": _first([stub / PYTHON], "PYTHONPATH"),
        "ASCEND_HOME_PATH": str(stub),
        "ASCEND_OPP_PATH": str(stub / "opp"),
        LEVEL: COMPILE_AND_ALLOCATE,
        "RANK_ID": str(rank),
        "RANK_SIZE": str(world_size),
        # at level 1 a condition cannot be part of a kernel graph: "Can not build a sub graph which contains ..."
        "MS_DEV_RUNTIME_CONF": "switch_inline:False",
        **dict.fromkeys(NO_OTHER_JOB, ""),
    }


def dumped(passes: str, folder: Path) -> dict[str, str]:
    """Return the variables with which a rank writes its graphs after the named pass to `folder`."""
    return {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_SAVE_GRAPHS_PATH": str(folder), "MS_DEV_DUMP_IR_PASSES": passes}


def _first(folders: Iterable[Path], variable: str) -> str:
    """Return a path of `folders` and then what the variable holds already."""
    before = os.environ.get(variable)
    return os.pathsep.join([*map(str, folders), *([before] if before else [])])
