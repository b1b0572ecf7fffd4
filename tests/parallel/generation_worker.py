"""One process of a launch: mindcode launch ... generation_worker.py FOLDER CASE ..., leaves FOLDER/rank_R.npz."""

import sys
from pathlib import Path

import numpy as np
from parallel.generation_cases import CASES, answers

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context
from mindcode.runtime.distributed import join_group, start_processes


def main(folder: Path, names: list[str]) -> None:
    """Generate with one network after another."""
    set_context(ContextConfig(device_target="CPU"))
    world = start_processes()
    group = join_group(range(world.size), world.rank)
    found = {f"{name}/{key}": value for name in names for key, value in answers(CASES[name], group).items()}
    np.savez(folder / f"rank_{world.rank}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
