"""A tiny network in a folder, ready for `mindcode predict`."""

import shutil
from pathlib import Path

import numpy as np

from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord
from mindcode.config.loader import load_config
from mindcode.model.stats import parameter_shapes

TOKENIZER = Path(__file__).resolve().parent.parent / "golden" / "llama_like.model"
SIZES = """
run_mode: predict
predict_batch_size: 4
context: {device_target: CPU}
model:
  model_config: {hidden_size: 32, num_layers: 1, num_heads: 4, n_kv_heads: 2, intermediate_size: 48, seq_length: 256,
    vocab_size: 1000, compute_dtype: float32, param_init_type: float32, do_sample: False}
"""


def write_model(folder: Path) -> list[str]:
    """Write a YAML file, random weights and a tokenizer of 1000 pieces; return the flags that name them."""
    config, weights = folder / "run.yaml", folder / "model.ckpt"
    config.write_text(SIZES, encoding="utf-8")
    shutil.copy(TOKENIZER, folder / "tokenizer.model")
    generator, sizes = np.random.default_rng(1), load_config(config, [("load_checkpoint", "x")]).model.model_config
    with CkptWriter(weights) as writer:
        for name, shape in parameter_shapes(sizes).items():
            writer.add(TensorRecord(name, "Float32", generator.normal(0, 0.3, shape).astype(np.float32)))
    return ["--config", str(config), "--load_checkpoint", str(weights)]
