"""What MindFormers 1.9.0 wants said differently in a YAML file: tables of keys, values and reasons.

Written against the files of MindFormers 1.2 to 1.5, which mindcode reads as they are. translate.py applies them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

VERSION = "1.9.0"

Keys = Mapping[str, Any]
"""Dotted key -> value: a whole file, laid flat."""


class Wanted(NamedTuple):
    """A key of 1.9.0, its value worked out from the file (None leaves it out), and why it is not what the file says."""

    key: str
    value: Callable[[Keys], Any]
    why: str


def _peak_rate(keys: Keys) -> float:
    own: float | None = keys["optimizer.learning_rate"]
    schedule: float = keys["lr_schedule.learning_rate"]
    return schedule if own is None else own


def _if_dynamic(key: str) -> Callable[[Keys], Any]:
    dynamic = "DynamicLossScaleUpdateCell"
    return lambda keys: keys[key] if keys["runner_wrapper.scale_sense.type"] == dynamic else None


WANTED = (
    Wanted("optimizer.type", lambda keys: "AdamW", "the AdamW it has; it always corrects the bias of the moments"),
    Wanted("optimizer.betas", lambda keys: [keys["optimizer.beta1"], keys["optimizer.beta2"]], "beta1 and beta2"),
    Wanted("lr_schedule.learning_rate", _peak_rate, "the rate of the schedule is the only one that counts"),
    Wanted(
        "runner_config.stop_step",
        lambda keys: keys["runner_config.max_steps"] if keys["runner_config.max_steps"] > 0 else None,
        "max_steps by its name there",
    ),
    Wanted(
        "parallel_config.vocab_emb_dp",
        lambda keys: keys["parallel_config.vocab_emb_dp"] and keys["parallel_config.pipeline_stage"] == 1,
        "the embedding table is never copied where there are pipeline stages",
    ),
    Wanted(
        "runner_wrapper.scale_sense.scale_factor",
        _if_dynamic("runner_wrapper.scale_sense.scale_factor"),
        "a fixed scale takes no other setting",
    ),
    Wanted(
        "runner_wrapper.scale_sense.scale_window",
        _if_dynamic("runner_wrapper.scale_sense.scale_window"),
        "a fixed scale takes no other setting",
    ),
)
"""Keys whose value depends on others or that have another name or form."""

DROPPED = {
    "engine": "mindcode's own",
    "tensorboard": "mindcode's own",
    "bigcode_eval_harness*": "mindcode's own; evaluate the checkpoints with mindcode evaluate",
    "context.peak_tflops": "mindcode's own",
    "optimizer.beta1": "given as betas",
    "optimizer.beta2": "given as betas",
    "optimizer.learning_rate": "given as lr_schedule.learning_rate",
    "runner_config.max_steps": "given as stop_step",
    "*_dataset_task.dataset_config*": "the Trainer fills it from train_dataset and eval_dataset",
    "use_legacy": "LlamaForCausalLM is a legacy model, and legacy is the default",
    "callbacks.ObsMonitor*": "gone",
    "eval_callbacks": "ObsMonitor is gone, and there was no other",
    "auto_tune": "gone",
    "filepath_prefix": "gone",
    "autotune_per_step": "gone",
    "context.enable_graph_kernel": "gone; jit_level O1 fuses operators",
    "context.graph_kernel_flags": "gone; jit_level O1 fuses operators",
}
"""Pattern of dotted keys that 1.9.0 refuses or never reads -> why."""

MOVED = {
    "context.jit_level": "context.jit_config.jit_level",
    "checkpoint.*": "callbacks.CheckpointMonitor.*",
    "train_dataset.num_samples": "train_dataset.data_loader.num_samples",
    "eval_dataset.num_samples": "eval_dataset.data_loader.num_samples",
}
"""mindcode's place -> MindFormers': the way back from mindcode.config.mindformers.MOVED."""

ADDED: dict[str, Any] = {
    "train_dataset_task.type": "CausalLanguageModelDataset",
    "eval_dataset_task.type": "CausalLanguageModelDataset",
    "callbacks.MFLossMonitor": {},
    "metric.type": "PerplexityMetric",
}
"""What mindcode takes for granted and 1.9.0 has to be told, unless the file tells it."""
