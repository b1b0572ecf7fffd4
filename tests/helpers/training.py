"""A tiny network, rows for it, and the golden trajectory: shared by the tests of training."""

from pathlib import Path

import numpy as np
from mindspore import Tensor

from mindcode.checkpoint.names import translate
from mindcode.config.model_schema import ModelConfig
from mindcode.data.mindrecord_format import Column
from mindcode.data.mindrecord_writer import MindRecordWriter
from mindcode.model.init import initialize
from mindcode.model.kernels import CPU
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.training.step import LossNetwork

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "training.npz"


def tiny_model(dtype: str = "float32") -> ModelConfig:
    """The sizes of scripts/make_goldens_training.py."""
    return ModelConfig(
        seq_length=12,
        hidden_size=16,
        num_layers=2,
        num_heads=4,
        n_kv_heads=2,
        vocab_size=37,
        intermediate_size=24,
        rms_norm_eps=1e-6,
        init_method_std=0.2,
        compute_dtype=dtype,
        param_init_type=dtype,
        layernorm_compute_type="float32",
        softmax_compute_type="float32",
        rotary_dtype="float32",
    )


def tiny_model_yaml(vocab_size: int) -> str:
    """The same sizes, but for the vocabulary, as a part of a configuration file."""
    return f"""
model:
  model_config:
    {{seq_length: 12, hidden_size: 16, num_layers: 2, num_heads: 4, n_kv_heads: 2, vocab_size: {vocab_size},
     intermediate_size: 24, init_method_std: 0.2, compute_dtype: float32, param_init_type: float32,
     layernorm_compute_type: float32, softmax_compute_type: float32, rotary_dtype: float32}}
"""


def tiny_network(config: ModelConfig) -> LossNetwork:
    """Model and loss with random weights."""
    model = LlamaForCausalLM(config, CPU)
    initialize(model, seed=0, std=config.init_method_std)
    return LossNetwork(model, CausalLMLoss(config, CPU))


def golden_weights(which: str) -> dict[str, np.ndarray]:
    """The golden's weights "before" or "after" training, under MindFormers' names."""
    golden, prefix = np.load(GOLDEN), f"{which}/"
    names = {key: translate(key.removeprefix(prefix), "hugging_face", "ours") for key in golden.files}
    return {str(names[key]): golden[key].astype(np.float32) for key in golden.files if key.startswith(prefix)}


def load(network: LossNetwork, weights: dict[str, np.ndarray]) -> None:
    """Put `weights` into the network; all names must be there."""
    parameters = {parameter.name: parameter for parameter in network.trainable_params()}
    assert parameters.keys() == weights.keys()
    for name, value in weights.items():
        parameters[name].set_data(Tensor(value, parameters[name].dtype))


def write_rows(folder: Path, rows: int, row_length: int, vocab_size: int, seed: int = 0) -> Path:
    """Write a MindRecord set of random ids, the first quarter of each row's labels masked."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.random.default_rng(seed).integers(3, vocab_size, (rows, row_length), dtype=np.int32)
    labels = ids.copy()
    labels[:, : row_length // 4] = -100
    lengths = np.full(rows, row_length)
    columns = [Column(ids.reshape(-1), lengths, fill=0), Column(labels.reshape(-1), lengths, fill=-100)]
    with MindRecordWriter(folder, "rows.mindrecord", 1, ("input_ids", "labels"), row_length, kind="qa") as writer:
        writer.add(columns)
    return folder / "rows.mindrecord"
