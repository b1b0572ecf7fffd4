"""What manifest.json says about the processes of a run."""

from pathlib import Path

from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.training.manifest import split_of

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "codellama"


def test_one_process_holds_everything() -> None:
    split = split_of(RunConfig())
    assert (split["processes"], split["sequence_slices"], split["sharded_optimizer"]) == (1, False, False)
    assert split["stages"] == [{"layers": [0, 31], "ranks": [[0]]}]


def test_stages_copies_and_parts_of_34b_on_32_npus() -> None:
    split = split_of(load_config(CONFIGS / "finetune_codellama_34b_32p.yaml"))
    assert (split["processes"], split["micro_batches"]) == (32, 128)
    assert split["sequence_slices"] and split["sharded_optimizer"]
    assert [stage["layers"] for stage in split["stages"]] == [[0, 11], [12, 23], [24, 35], [36, 47]]
    assert split["stages"][1]["ranks"] == [[8, 9, 10, 11], [12, 13, 14, 15]]
