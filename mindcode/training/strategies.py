"""MindSpore's strategy files of a run, from its configuration alone: nothing is compiled and no device is needed.

folder = save_strategies(config)        # output/strategy/ckpt_strategy_rank_R.ckpt, one for every rank
"""

from pathlib import Path

from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.strategy_file import write_strategies
from mindcode.config.schema import RunConfig
from mindcode.model.stats import parameter_shapes

FOLDER = "strategy"


def save_strategies(config: RunConfig) -> Path:
    """Write how every rank splits weights and optimizer state; return the folder."""
    weights, split = parameter_shapes(config.model.model_config), Split.of_run(config)
    state = {f"{prefix}{name}": shape for prefix in STATE_PREFIXES for name, shape in weights.items()}
    ranks = (split.placements(weights | state, rank) for rank in range(split.dims.world_size))
    folder = Path(config.output_dir) / FOLDER
    write_strategies(split.dims, ranks, folder)
    return folder
