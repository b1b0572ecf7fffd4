"""What is done to MindFormers for a dry run, as far as it goes without it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mindcode.config.loader import load_config
from mindcode.config.sizes import rows_per_step
from mindcode.data.mindrecord import MindRecordReader
from mindcode.neighbours.simulate import ROWS, always_step, one_step, write_rows

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "codellama"
CELL = """
LIMIT = 3

class Cell:
    def construct(self, overflow):
        done = 0
        if not overflow:
            done = LIMIT
        return done
"""


def module_of(path: Path, text: str) -> ModuleType:
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("cell", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_optimizer_runs_whatever_the_condition_says(tmp_path: Path) -> None:
    module = module_of(tmp_path / "cell.py", CELL)
    assert module.Cell().construct(True) == 0
    always_step(module, "Cell", tmp_path)
    assert module.Cell().construct(True) == 3
    assert "if True:" in (tmp_path / "Cell.py").read_text()


def test_another_training_cell_is_noticed(tmp_path: Path) -> None:
    module = module_of(tmp_path / "cell.py", CELL.replace("not overflow", "overflow is None"))
    with pytest.raises(RuntimeError, match="not the MindFormers that this was written for"):
        always_step(module, "Cell", tmp_path)


def test_one_step_of_random_rows_from_nothing(tmp_path: Path) -> None:
    overrides = [("parallel_config.micro_batch_num", "4"), ("load_checkpoint", "x.ckpt"), ("do_eval", "True")]
    config = one_step(load_config(CONFIGS / "finetune_codellama_34b_32p.yaml", overrides), tmp_path)
    assert (config.load_checkpoint, config.do_eval, config.runner_config.epochs) == ("", False, 1)
    write_rows(tmp_path / ROWS, config)
    reader = MindRecordReader(Path(config.train_dataset.data_loader.dataset_dir))
    assert (len(reader), reader.row_length) == (rows_per_step(config), 4097) == (8, 4097)
    rows = reader.rows(np.arange(8))
    np.testing.assert_array_equal(rows["input_ids"], rows["labels"])
    assert rows["input_ids"].min() >= 3 and rows["input_ids"].max() < 32000
