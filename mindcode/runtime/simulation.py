"""Keeps simulation out of real runs: the stub of CANN, and MindSpore's mode that computes nothing. Pure Python.

refuse_simulation(os.environ)
"""

import os
from collections.abc import Mapping
from pathlib import Path

from mindcode.utils.errors import UserError

MARKER = "STUB_OF_CANN"
"""A file that lies beside the libraries of a stub."""
TOOLS = {"gcc": "gcc", "g++": "g++", "nm": "binutils", "readelf": "binutils"}
"""Programs that build the stub, and the packages of Debian and Ubuntu that hold them."""
LEVEL = "MS_SIMULATION_LEVEL"
"""MindSpore's variable: 0 compiles only, 1 allocates simulated memory, too; neither computes."""
PATH = "LD_LIBRARY_PATH"


def refuse_simulation(environment: Mapping[str, str]) -> None:
    """Raise UserError when a real run would find the stub, or would compute nothing."""
    for folder in environment.get(PATH, "").split(os.pathsep):
        if folder and (Path(folder) / MARKER).exists():
            raise UserError(
                f"{PATH}: {folder} holds a stub of CANN, which computes nothing; take it out (unset {PATH})"
            )
    if environment.get(LEVEL):
        raise UserError(
            f"{LEVEL}: {environment[LEVEL]}, with which MindSpore computes nothing; unset it (mindcode dryrun sets it "
            "for its own processes)"
        )
