"""What a single value may be, as tables: the words a key accepts and the range of a number."""

import math
from typing import NamedTuple

FLOAT_FORMATS = ("float16", "bfloat16", "float32")

CHOICES: dict[str, tuple[object, ...]] = {
    "run_mode": ("train", "finetune", "eval", "predict"),
    "engine": ("mindcode", "mindformers"),
    "trainer.type": ("CausalLanguageModelingTrainer",),
    "optimizer.type": ("AdamW", "FP32StateAdamWeightDecay"),
    "lr_schedule.type": ("CosineWithWarmUpLR", "LinearWithWarmUpLR", "ConstantWarmUpLR"),
    "runner_wrapper.type": ("MFTrainOneStepCell", "MFPipelineWithLossScaleCell"),
    "runner_wrapper.scale_sense.type": ("DynamicLossScaleUpdateCell", "FixedLossScaleUpdateCell"),
    "train_dataset.data_loader.type": ("MindDataset",),
    "eval_dataset.data_loader.type": ("MindDataset",),
    "parallel.parallel_mode": (0, 1),
    "parallel_config.context_parallel": (1,),
    "context.mode": (0,),
    "context.device_target": ("Ascend", "CPU"),
    "context.jit_level": ("O0", "O1", "O2"),
    "model.arch.type": ("LlamaForCausalLM",),
    "model.model_config.type": ("LlamaConfig",),
    "model.model_config.qkv_has_bias": (False,),
    "model.model_config.extend_method": ("None", "PI", "NTK", "YARN", "LLAMA3"),
    "model.model_config.compute_dtype": FLOAT_FORMATS,
    "model.model_config.layernorm_compute_type": FLOAT_FORMATS,
    "model.model_config.softmax_compute_type": FLOAT_FORMATS,
    "model.model_config.rotary_dtype": FLOAT_FORMATS,
    "model.model_config.param_init_type": FLOAT_FORMATS,
    "model.model_config.embedding_init_type": (None, *FLOAT_FORMATS),
    "processor.tokenizer.type": ("LlamaTokenizer", "LlamaTokenizerFast"),
}
"""Key -> the values that are built here."""


class Range(NamedTuple):
    """Lowest and highest allowed number; `allow` is one more that stands for `not set`."""

    low: float
    high: float = math.inf
    allow: float | None = None

    def contains(self, number: float) -> bool:
        """Say whether the number is allowed."""
        return self.low <= number <= self.high or number == self.allow

    def describe(self) -> str:
        """Return the range in words."""
        low = "above 0" if self.low == _ABOVE_ZERO else f"at least {self.low}"
        high = (
            "" if self.high == math.inf else " and below 1" if self.high == _BELOW_ONE else f" and at most {self.high}"
        )
        return low + high + ("" if self.allow is None else f", or {self.allow}")


_ABOVE_ZERO, _BELOW_ONE = math.nextafter(0, 1), math.nextafter(1, 0)
_ONE, _ZERO, _POSITIVE, _STEPS = Range(1), Range(0), Range(_ABOVE_ZERO), Range(1, allow=-1)
_SHARE, _DECAY = Range(0, 1), Range(0, _BELOW_ONE)

RANGES = {
    "seed": Range(0, 2**32 - 1),
    "eval_step_interval": _STEPS,
    "eval_epoch_interval": _STEPS,
    "micro_batch_interleave_num": _ONE,
    "predict_batch_size": _ONE,
    "runner_config.epochs": _ONE,
    "runner_config.batch_size": _ONE,
    "runner_config.gradient_accumulation_steps": _ONE,
    "runner_config.max_steps": _STEPS,
    "runner_config.sink_size": _STEPS,
    "optimizer.beta1": _DECAY,
    "optimizer.beta2": _DECAY,
    "optimizer.eps": _POSITIVE,
    "optimizer.weight_decay": _ZERO,
    "optimizer.learning_rate": _ZERO,
    "lr_schedule.learning_rate": _ZERO,
    "lr_schedule.lr_end": _ZERO,
    "lr_schedule.warmup_lr_init": _ZERO,
    "lr_schedule.warmup_ratio": _SHARE,
    "lr_schedule.warmup_steps": _ZERO,
    "lr_schedule.total_steps": _STEPS,
    "runner_wrapper.max_grad_norm": _POSITIVE,
    "runner_wrapper.scale_sense.loss_scale_value": _POSITIVE,
    "runner_wrapper.scale_sense.scale_factor": Range(2),
    "runner_wrapper.scale_sense.scale_window": _ONE,
    "train_dataset.num_samples": _ONE,
    "eval_dataset.num_samples": _ONE,
    "parallel.parallel_optimizer_config.parallel_optimizer_threshold": _ZERO,
    "parallel_config.data_parallel": _ONE,
    "parallel_config.model_parallel": _ONE,
    "parallel_config.pipeline_stage": _ONE,
    "parallel_config.micro_batch_num": _ONE,
    "parallel_config.gradient_aggregation_group": _ONE,
    "checkpoint.save_checkpoint_steps": _ONE,
    "checkpoint.keep_checkpoint_max": _ONE,
    "context.device_id": _ZERO,
    "context.max_call_depth": _ONE,
    "context.peak_tflops": _POSITIVE,
    "model.model_config.batch_size": _ONE,
    "model.model_config.seq_length": _ONE,
    "model.model_config.hidden_size": _ONE,
    "model.model_config.num_layers": _ONE,
    "model.model_config.num_heads": _ONE,
    "model.model_config.n_kv_heads": _ONE,
    "model.model_config.vocab_size": _ONE,
    "model.model_config.intermediate_size": _ONE,
    "model.model_config.multiple_of": _ONE,
    "model.model_config.ffn_dim_multiplier": _POSITIVE,
    "model.model_config.max_position_embedding": _ONE,
    "model.model_config.rms_norm_eps": _POSITIVE,
    "model.model_config.theta": _ONE,
    "model.model_config.init_method_std": _ZERO,
    "model.model_config.block_size": _ONE,
    "model.model_config.num_blocks": _ONE,
    "model.model_config.fine_grain_interleave": _ONE,
    "model.model_config.repetition_penalty": _POSITIVE,
    "model.model_config.max_decode_length": _ONE,
    "model.model_config.max_new_tokens": _ONE,
    "model.model_config.temperature": _POSITIVE,
    "model.model_config.top_k": _ZERO,
    "model.model_config.top_p": Range(_ABOVE_ZERO, 1),
}
"""Key of a number -> its range; null, where a key accepts it, is always in range."""

HARNESS_LOWEST = {"every_n_steps": 0, "every_n_vals": 0, "batch_size": 1, "max_sequence_length": 2, "n_workers": 1}
BIGCODE_LOWEST = {
    **{"n_samples": 1, "temperature": 0, "top_p": 0, "top_k": 0, "repetition_penalty": 0, "seed": 0, "max_tokens": 1},
    **{"max_length_generation": 2, "limit": 1, "limit_start": 0},
}
"""Lowest numbers in an item of bigcode_eval_harness, and in its bigcode_args."""
HARNESS_NOT_NAMES = ("checkpoint", "checkpoint_network", "log", "tensorboard")
"""What a run keeps in folders of these names is no benchmark's."""
