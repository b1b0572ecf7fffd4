"""The strategy files of a run that never starts say what its checkpoints would look like."""

from dataclasses import replace
from pathlib import Path

from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.strategy_file import read_strategy
from mindcode.config.loader import load_config
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.plan import blocks_on
from mindcode.training.strategies import save_strategies


def test_the_34b_files_split_as_planned(repository: Path, tmp_path: Path) -> None:
    config = load_config(repository / "configs" / "codellama" / "finetune_codellama_34b_16p.yaml")
    config = replace(config, output_dir=str(tmp_path))
    strategy = read_strategy(save_strategies(config))
    shapes = parameter_shapes(config.model.model_config)
    shapes |= {f"adam_m.{name}": shape for name, shape in shapes.items()}
    assert strategy.dims == Split.of_run(config).dims
    for rank in (0, 7, 8, 15):
        assert strategy.placements(shapes, rank) == Split.of_run(config).placements(shapes, rank)


def test_on_npus_a_weight_is_cut_like_its_state(repository: Path, tmp_path: Path) -> None:
    config = load_config(repository / "configs" / "codellama" / "finetune_codellama_34b_32p.yaml")
    strategy = read_strategy(save_strategies(replace(config, output_dir=str(tmp_path))))
    name = "model.layers.0.attention.wq.weight"
    shapes = {name: (8192, 8192), f"adam_m.{name}": (8192, 8192)}
    for rank in (0, 3, 4, 7):
        block = blocks_on(config, rank)[name]
        assert block.shape == (1024, 8192)
        assert strategy.placements(shapes, rank) == dict.fromkeys(shapes, block)
