"""`mindcode predict` on two processes: killed in the middle, run again, and equal to one process."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.launching import Place, ended, free_port, wait_for

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.cli.main import guard
from mindcode.config.loader import load_config
from mindcode.data.tokenizer import load_tokenizer
from mindcode.model.stats import parameter_shapes

SIZES = """
run_mode: predict
predict_batch_size: 4
context: {device_target: CPU}
model:
  model_config: {hidden_size: 32, num_layers: 1, num_heads: 4, n_kv_heads: 2, intermediate_size: 48, seq_length: 256,
    vocab_size: 1000, compute_dtype: float32, param_init_type: float32}
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder to launch from; whatever a test starts there is gone afterwards."""
    place = Place(tmp_path, free_port())
    yield place
    place.clear()


def test_killed_continued_and_equal_to_one_process(place: Place, repository: Path) -> None:
    folder, tokenizer = place.folder, repository / "tests" / "golden" / "llama_like.model"
    assert load_tokenizer(tokenizer).vocab_size == 1000
    (folder / "run.yaml").write_text(SIZES, encoding="utf-8")
    config = load_config(folder / "run.yaml", [("load_checkpoint", "x.ckpt")]).model.model_config
    generator = np.random.default_rng(1)
    with CkptWriter(folder / "model.ckpt") as writer:
        for name, shape in parameter_shapes(config).items():
            writer.add(TensorRecord(name, "Float32", generator.normal(0, 0.3, shape).astype(np.float32)))
    prompts = [{"id": str(number), "prompt": "word " * (number % 9 + 1)} for number in range(24)]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)), encoding="utf-8")
    words = ["--config", str(folder / "run.yaml"), "--load_checkpoint", str(folder / "model.ckpt")]
    words += ["--model_file", str(tokenizer), "--input_file", str(folder / "prompts.jsonl")]
    words += ["--temperature", "0.9", "--max_new_tokens", "60"]
    launched = ["-m", "mindcode", "predict", *words, "--model_parallel", "2", "--output_file", "two.jsonl"]

    job = place.launch(*place.flags(), sys.executable, *launched)
    wait_for(lambda: len(lines(folder / "two.jsonl")) > 4, every=0.01)
    os.kill(place.worker(1), signal.SIGKILL)
    code, _, errors = ended(job)
    assert code == 128 + signal.SIGKILL and "rank 1 was ended by SIGKILL" in errors
    before = lines(folder / "two.jsonl")
    assert 4 < len(before) < 24 and place.left_over() == []

    code, shown, errors = ended(place.launch(*place.flags(), sys.executable, *launched))
    assert code == 0, errors
    assert "answers: two.jsonl" in shown and "predict" not in place.log("worker_1.log")
    assert lines(folder / "two.jsonl")[: len(before)] == before

    assert guard("mindcode.cli.predict", [*words, "--output_file", str(folder / "one.jsonl")]) == 0
    one, two = (
        {row["id"]: row for row in map(json.loads, lines(folder / name))} for name in ("one.jsonl", "two.jsonl")
    )
    assert one == two and len(one) == 24


def lines(path: Path) -> list[str]:
    """Its complete lines; none when it does not exist."""
    return path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.is_file() else []
