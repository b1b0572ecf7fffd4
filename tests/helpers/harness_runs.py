"""A tiny network that learns while it answers a benchmark of one's own: files, commands, and what is left of a run."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from helpers.launching import free_port
from helpers.predicting import TOKENIZER
from helpers.training import write_rows
from mindcode.utils.jsonl import read_jsonl, write_jsonl

PROBLEMS, STEPS = 24, 4
CONFIG = f"""
seed: 1
run_mode: train
context: {{device_target: CPU}}
runner_config: {{epochs: 1, batch_size: 2, gradient_accumulation_steps: 2, sink_size: 1, max_steps: {STEPS}}}
optimizer: {{type: AdamW, weight_decay: 0.1}}
lr_schedule: {{type: CosineWithWarmUpLR, learning_rate: 1.e-2, warmup_ratio: 0.1}}
train_dataset: {{input_columns: [input_ids, labels]}}
processor: {{tokenizer: {{vocab_file: tokenizer.model}}}}
callbacks:
  - {{type: CheckpointMonitor, prefix: tiny, save_checkpoint_steps: 100, keep_checkpoint_max: 3}}
  - type: BigCodeEvalHarness
    every_n_steps: 2
    batch_size: 3
    max_sequence_length: 128
    allow_code_execution: True
    bigcode_args: {{tasks: sums, tasks_dir: tasks, max_tokens: 60}}
model:
  model_config: {{hidden_size: 32, num_layers: 2, num_heads: 4, n_kv_heads: 2, intermediate_size: 48, seq_length: 16,
    vocab_size: 1000, init_method_std: 0.3, compute_dtype: float32, param_init_type: float32,
    layernorm_compute_type: float32, softmax_compute_type: float32, rotary_dtype: float32}}
"""


@dataclass(frozen=True)
class HarnessPlace:
    """A folder with a configuration, rows, a tokenizer and a task."""

    folder: Path

    def train(self, output_dir: str, *flags: str) -> list[str]:
        """Return the command of a run of one process."""
        rows = ["--train_dataset_dir", "data/rows.mindrecord", "--output_dir", output_dir]
        return [sys.executable, "-m", "mindcode", "train", "--config", "tiny.yaml", *rows, *flags]

    def launched(self, output_dir: str, workers: int, *flags: str) -> list[str]:
        """Return the command of a run of several."""
        launcher = [sys.executable, "-m", "mindcode", "launch", f"--worker_num={workers}"]
        launcher += [f"--master_port={free_port()}", "--cluster_time_out=120", f"--log_dir={output_dir}-log"]
        return [*launcher, "mindcode", *self.train(output_dir, "--use_parallel=True", *flags)[3:]]

    def evaluated(self, output_dir: str, step: int) -> Path:
        """Return the run folder of what was answered after a step."""
        return self.folder / output_dir / "bigcode_0" / f"sums_{step}"

    def answers(self, output_dir: str, step: int) -> dict[str, str]:
        """Return the answer to each problem after a step."""
        return {row["task_id"]: row["answer"] for row in read_jsonl(self.evaluated(output_dir, step) / "samples.jsonl")}

    def scores(self, output_dir: str) -> list[tuple[int, float]]:
        """Return step and pass@1 as the run recorded them."""
        rows = read_jsonl(self.folder / output_dir / "metrics.jsonl")
        return sorted((row["step"], row["sums/pass@1"]) for row in rows if "sums/pass@1" in row)

    def summary(self, output_dir: str, step: int) -> dict[str, object]:
        """Return the summary of what was answered after a step."""
        summary: dict[str, object] = json.loads((self.evaluated(output_dir, step) / "summary.json").read_text())
        return summary


def make_place(folder: Path) -> HarnessPlace:
    """Write everything that a run needs. One problem is solved by any answer, the others by none of such a network."""
    (folder / "tiny.yaml").write_text(CONFIG)
    (folder / "tasks").mkdir()
    (folder / "tasks" / "sums.yaml").write_text("data: sums.jsonl\nstyle: completion\n")
    write_jsonl(folder / "tasks" / "sums.jsonl", (_problem(number) for number in range(PROBLEMS)))
    shutil.copy(TOKENIZER, folder / "tokenizer.model")
    write_rows(folder / "data", rows=4 * STEPS, row_length=17, vocab_size=1000)
    return HarnessPlace(folder)


def _problem(number: int) -> dict[str, str]:
    return {
        "task_id": f"sums/{number}",
        "prompt": f"def add_{number}(x):\n    return x + {number}\n\n" if number == 0 else f"def add_{number}(x):\n",
        "entry_point": f"add_{number}",
        "test": f"def check(f):\n    assert f(1) == {number + 1}\n",
        "canonical_solution": f"    return x + {number}\n",
    }
