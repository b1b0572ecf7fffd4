"""`mindcode train` on several NPUs, as far as simulated ones go: it compiles, steps, saves, and continues."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.training import write_rows

from mindcode.checkpoint.runs import open_run
from mindcode.dryrun.environment import simulated_rank
from mindcode.dryrun.stub import ensure_stub
from mindcode.dryrun.wheel import mindspore_folder

WORKER = Path(__file__).with_name("train_worker.py")
LAST, FIRST = 1, 0
"""Stages of one rank each."""

CONFIG = """
output_dir: output
resume_training: True
use_parallel: True
context: {{device_target: Ascend}}
runner_config: {{batch_size: 1, max_steps: {max_steps}}}
optimizer: {{type: AdamW}}
train_dataset: {{data_loader: {{dataset_dir: rows/rows.mindrecord}}, input_columns: [input_ids, labels]}}
parallel_config: {{data_parallel: 1, model_parallel: 1, pipeline_stage: 2, micro_batch_num: 2}}
model:
  model_config:
    {{seq_length: 128, hidden_size: 128, num_layers: 2, num_heads: 2, n_kv_heads: 1, intermediate_size: 256,
      vocab_size: 128, compute_dtype: float16, param_init_type: float16, use_flash_attention: True}}
"""
# a simulated NPU reports each step as an overflow; only float16, with its loss scale, goes on after that


def start(folder: Path, rank: int, max_steps: int) -> str:
    """Run one process to its end and return what it said."""
    config = folder / "run.yaml"
    config.write_text(CONFIG.format(max_steps=max_steps))
    environment = os.environ | simulated_rank(ensure_stub(), mindspore_folder(), rank, world_size=2)
    command = [sys.executable, str(WORKER), str(config), str(rank)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.usefixtures("cache")
def test_both_stages_train_save_and_continue(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows", 16, 129, 128)
    for rank in (LAST, FIRST):  # the first process joins what the others wrote
        assert "step:[    2/" in start(tmp_path, rank, max_steps=2)
    checkpoint = open_run(tmp_path / "output" / "checkpoint" / "CKP-1_2.json")
    assert checkpoint.tensors["lm_head.weight"].shape == (128, 128)
    assert {f"{kind}.lm_head.weight" for kind in ("adam_m", "adam_v", "adam_master")} < checkpoint.tensors.keys()
    text = start(tmp_path, LAST, max_steps=3)
    assert "continuing after step 2 of 3" in text
    assert "step:[    3/" in text
