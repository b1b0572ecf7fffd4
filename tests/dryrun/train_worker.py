"""One process of `mindcode train` on several NPUs, played by a simulated NPU that computes zeros.

python train_worker.py CONFIG RANK

Nobody else is there: sums over all processes are the process' own numbers, and what another one left is of this run.
"""

import sys
from dataclasses import replace
from pathlib import Path

from mindspore.communication import init

from mindcode.checkpoint.sharded import ShardedStore
from mindcode.cli.train import train
from mindcode.config.loader import load_config
from mindcode.config.sizes import processes_needed
from mindcode.parallel.processes import join_processes
from mindcode.runtime.context import set_context_of_simulation
from mindcode.runtime.distributed import SINGLE, World

config, rank = load_config(Path(sys.argv[1])), int(sys.argv[2])
set_context_of_simulation(config.context)
init()
ShardedStore.remove_leftovers = lambda store: None  # type: ignore[method-assign]
train(config, replace(join_processes(config, World(rank, processes_needed(config))), everyone=SINGLE), ())
