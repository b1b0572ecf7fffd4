"""MindSpore's strategy files of a run, from its configuration alone: nothing is compiled and no device is needed.

folder = save_strategies(config)        # output/strategy/ckpt_strategy_rank_R.ckpt, one for every rank
"""

from collections.abc import Mapping
from pathlib import Path

from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.placements import Split, weight_of
from mindcode.checkpoint.strategy_file import write_strategies
from mindcode.config.schema import RunConfig
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement, Shape, blocks_on
from mindcode.utils.lookup import lookup

FOLDER = "strategy"


def save_strategies(config: RunConfig) -> Path:
    """Write how every rank splits weights and optimizer state; return the folder."""
    weights, dims = parameter_shapes(config.model.model_config), ParallelDims.of(config)
    state = {f"{prefix}{name}": shape for prefix in STATE_PREFIXES for name, shape in weights.items()}
    blocks = lookup(BLOCKS, config.context.device_target, "context.device_target")
    folder = Path(config.output_dir) / FOLDER
    write_strategies(dims, (blocks(config, weights | state, rank) for rank in range(dims.world_size)), folder)
    return folder


def _on_cpu(config: RunConfig, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
    return Split.of_run(config).placements(shapes, rank)


def _on_npu(config: RunConfig, shapes: Mapping[str, Shape], rank: int) -> dict[str, Placement]:
    """A weight is where its state is."""
    blocks = blocks_on(config, rank)
    return {name: blocks[weight_of(name)] for name in shapes if weight_of(name) in blocks}


BLOCKS = {"CPU": _on_cpu, "Ascend": _on_npu}
"""By device target: (configuration, shapes, rank) -> the rank's block of each tensor."""
