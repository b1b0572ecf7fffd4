"""One process of a launch: mindcode launch ... worker.py FOLDER CASE ..., leaves FOLDER/rank_R.npz."""

import sys
from pathlib import Path

import numpy as np
from parallel.cases import CASES, run_case

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context
from mindcode.runtime.distributed import start_processes


def main(folder: Path, names: list[str]) -> None:
    """Run the cases one after another."""
    set_context(ContextConfig(device_target="CPU"))
    world = start_processes()
    found = {f"{name}/{key}": value for name in names for key, value in run_case(CASES[name], world).items()}
    np.savez(folder / f"rank_{world.rank}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
