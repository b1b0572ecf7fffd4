"""The same file, rows and weights in MindFormers 1.9.0 and here: nothing missing or left over, and the same numbers.

Skipped where MindFormers is not installed. Each toolkit runs in a process of its own, since each sets up MindSpore.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.checkpoints import load_float32
from helpers.mindformers_files import TRAINING, original
from helpers.training import golden_weights, load, tiny_model_yaml, tiny_network, write_rows
from mindspore import Tensor

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.config.loader import load_config
from mindcode.data.mindrecord import MindRecordReader
from mindcode.neighbours.mindformers_keys import VERSION

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mindformers") is None,
    reason=f"MindFormers is not installed: pip install 'mindcode[mindformers]' brings {VERSION}",
)
HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs" / "codellama"
ROWS, ROW_LENGTH, VOCAB, BATCH, EPOCHS = 16, 13, 37, 4, 2
STEPS = ROWS // BATCH * EPOCHS
SETTINGS = f"""
run_mode: finetune
load_checkpoint: FOLDER/start.ckpt
runner_config: {{epochs: {EPOCHS}, batch_size: {BATCH}, sink_mode: False}}
optimizer: {{type: AdamW, beta1: 0.9, beta2: 0.95, eps: 1e-6, weight_decay: 0.1}}
lr_schedule: {{learning_rate: 1e-2, lr_end: 1e-4, warmup_ratio: 0.25}}
runner_wrapper: {{scale_sense: 1.0, max_grad_norm: 0.5}}
train_dataset:
  data_loader: {{dataset_dir: FOLDER/rows, shuffle: False}}
  input_columns: [input_ids, labels]
callbacks:
  - {{type: CheckpointMonitor, prefix: tiny, save_checkpoint_steps: {STEPS}}}
  - {{type: ObsMonitor}}
context: {{device_target: CPU, jit_config: {{jit_level: O0}}}}
"""


def run(folder: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, rows and starting weights, all written by mindcode."""
    folder = tmp_path_factory.mktemp("interop")
    write_rows(folder / "rows", ROWS, ROW_LENGTH, VOCAB)
    with CkptWriter(folder / "start.ckpt") as writer:
        for name, weight in golden_weights("before").items():
            writer.add(TensorRecord(name, "Float32", weight))
    (folder / "run.yaml").write_text(SETTINGS.replace("FOLDER", str(folder)) + tiny_model_yaml(VOCAB))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The checkpoints after the last step, by engine."""
    run(folder, "-m", "mindcode", "train", "--config", "run.yaml", "--output_dir", "ours")
    run(folder, str(HERE / "trainer_on_cpu.py"), "run.yaml", "theirs")
    paths = {engine: max((folder / engine / "checkpoint" / "rank_0").glob("*.ckpt")) for engine in ("ours", "theirs")}
    return {engine: load_float32(path) for engine, path in paths.items()}


@pytest.fixture(scope="module")
def read(folder: Path) -> Path:
    run(folder, str(HERE / "mindformers_reads.py"), "run.yaml", "start.ckpt", "read.json")
    return folder / "read.json"


def test_they_accept_their_own_old_files_and_ours(tmp_path: Path) -> None:
    ours = [path for path in CONFIGS.glob("*.yaml") if not path.stem.startswith("predict")]
    assert len(ours) >= 8
    run(
        tmp_path, str(HERE / "mindformers_accepts.py"), *map(str, ours), *(str(original(tmp_path, n)) for n in TRAINING)
    )


def test_our_checkpoint_fits_their_network(read: Path) -> None:
    assert json.loads(read.read_text()) == {"missing": [], "left_over": []}


def test_their_dataset_reads_our_rows(folder: Path, read: Path) -> None:
    ours = MindRecordReader(folder / "rows").rows(np.arange(ROWS))
    theirs = np.load(read.with_suffix(".npz"))
    for column in ("input_ids", "labels"):
        np.testing.assert_array_equal(theirs[column], ours[column])


def test_their_logits_are_ours(folder: Path, read: Path) -> None:
    """float32 sums in another order: 1e-5 of logits of size 1."""
    theirs = np.load(read.with_suffix(".npz"))
    network = tiny_network(load_config(folder / "run.yaml").model.model_config)
    load(network, golden_weights("before"))
    ours = network.model(Tensor(theirs["input_ids"][:2, :-1])).asnumpy()
    np.testing.assert_allclose(theirs["logits"], ours, atol=1e-5, rtol=1e-5)


def test_their_trainer_ends_with_our_weights(trained: dict[str, dict[str, np.ndarray]]) -> None:
    """Loss mask, schedule, clipping, weight decay and AdamW mean the same: weights of size 1 move by 1e-2 a step."""
    before = golden_weights("before")
    for name, start in before.items():
        ours, theirs = trained["ours"][name], trained["theirs"][name]
        assert np.abs(ours - start).max() > 1e-3
        np.testing.assert_allclose(theirs, ours, atol=2e-6, err_msg=name)


def test_their_checkpoint_starts_a_run_here(folder: Path, trained: dict[str, dict[str, np.ndarray]]) -> None:
    """It holds the optimizer's state too, which a new run leaves alone."""
    names = golden_weights("before").keys()
    assert names < trained["theirs"].keys()
    path = max((folder / "theirs" / "checkpoint" / "rank_0").glob("*.ckpt"))
    flags = ("--load_checkpoint", str(path), "--output_dir", "again", "--runner_config.max_steps", "1")
    run(folder, "-m", "mindcode", "train", "--config", "run.yaml", *flags)
