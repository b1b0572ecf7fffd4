"""Hugging Face's config.json <-> our model_config."""

from pathlib import Path
from typing import Any

from mindcode.checkpoint.stated_sizes import stated_sizes
from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.utils.errors import UserError

_ROPE_TYPES = {"linear": "PI", "yarn": "YARN", "llama3": "LLAMA3"}
_ROPE_FIELDS = {
    "factor": "factor",
    "original_max_position_embeddings": "original_max_position_embedding",
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
    "beta_slow": "beta_slow",
    "beta_fast": "beta_fast",
    "attention_factor": "mscale",
}
_ROPE_KEYS = {
    "linear": ("factor",),
    "yarn": ("factor", "original_max_position_embeddings", "beta_slow", "beta_fast", "attention_factor"),
    "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
}
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_NAMES = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "num_key_value_heads": "n_kv_heads",
    "vocab_size": "vocab_size",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_position_embedding",
    "rms_norm_eps": "rms_norm_eps",
    "tie_word_embeddings": "tie_word_embeddings",
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
    "pad_token_id": "pad_token_id",
}
_DEFAULTS = {"intermediate_size": 11008, "rms_norm_eps": 1e-6}
"""What transformers assumes, where ModelConfig assumes something else."""
_BUILT = {"attention_bias": False, "mlp_bias": False, "hidden_act": "silu"}


def config_from_hf(data: dict[str, Any], path: Path) -> ModelConfig:
    """Translate a config.json, where null is as good as absent.

    Raises UserError for an architecture or a setting that is not built here, and for sizes that no network has.
    """
    found = {key: value for key, value in data.items() if value is not None}
    _check_llama(found, path)
    sizes = {ours: found[theirs] for theirs, ours in _NAMES.items() if theirs in found}
    config = stated_sizes({**_DEFAULTS, **sizes, **_rope(found, path)}, path)
    for key, built in {**_BUILT, "head_dim": config.head_dim}.items():
        if found.get(key, built) != built:
            raise UserError(f"{path}: {key} is {found[key]!r}; only {built!r} is built here")
    return config


def _check_llama(data: dict[str, Any], path: Path) -> None:
    if data.get("model_type") != "llama":
        raise UserError(f"{path}: model_type is {data.get('model_type')!r}; only 'llama' can be converted")
    missing = [key for key in _SIZES if key not in data]
    if missing:
        raise UserError(f"{path}: no {missing[0]} in it; fetch it again")


def _rope(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Read rotary settings where transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters) keep them."""
    found = {"rope_theta": data.get("rope_theta", 10000.0)}
    for key in ("rope_scaling", "rope_parameters"):
        section = data.get(key, {})
        if not isinstance(section, dict):
            raise UserError(f"{path}: {key} is {section!r}, expected an object; fetch the file again")
        found |= {name: value for name, value in section.items() if value is not None}
    theta = {"theta": found["rope_theta"]}
    kind = str(found.get("rope_type", found.get("type", "default")))
    if kind == "default" or (kind == "linear" and found.get("factor") == 1):
        return theta
    if kind not in _ROPE_TYPES:
        known = ", ".join(_ROPE_TYPES.values())
        raise UserError(f"{path}: rope_scaling type {kind!r} cannot be converted (known: default, {known})")
    if "factor" not in found:
        raise UserError(f"{path}: rope_scaling of type {kind!r} has no factor; fetch the file again")
    values = {ours: found[theirs] for theirs, ours in _ROPE_FIELDS.items() if theirs in found}
    return {
        **theta,
        "extend_method": _ROPE_TYPES[kind],
        "scaling_factor": found["factor"] if kind == "linear" else values,
    }


def config_to_hf(config: ModelConfig, torch_dtype: str) -> dict[str, Any]:
    """Write our sizes as a config.json for transformers 4 and 5; `torch_dtype` is float32, float16 or bfloat16."""
    theta, scaling = _rope_to_hf(config)
    eos = config.eos_token_id
    data: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": list(eos) if isinstance(eos, tuple) else eos,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": config.init_method_std,
        "intermediate_size": config.ffn_size,
        "max_position_embeddings": config.max_position_embedding or config.seq_length,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "num_key_value_heads": config.kv_heads,
        "pad_token_id": config.pad_token_id,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": scaling,
        "rope_theta": theta,
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": torch_dtype,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }
    return data


def _rope_to_hf(config: ModelConfig) -> tuple[float, dict[str, Any] | None]:
    scaling = config.scaling_factor
    scaling = scaling if isinstance(scaling, RopeScaling) else RopeScaling(factor=float(scaling))
    if config.extend_method == "None":
        return config.theta, None
    if config.extend_method == "NTK":  # transformers has no name for it, but it is only another theta
        return config.theta * scaling.factor ** (config.head_dim / (config.head_dim - 2)), None
    kind = {ours: theirs for theirs, ours in _ROPE_TYPES.items()}[config.extend_method]
    length = config.max_position_embedding or config.seq_length
    values = {
        "factor": scaling.factor,
        "original_max_position_embeddings": scaling.original_max_position_embedding or length,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "beta_slow": scaling.beta_slow,
        "beta_fast": scaling.beta_fast,
        "attention_factor": scaling.mscale,
    }
    wanted = {key: values[key] for key in _ROPE_KEYS[kind] if values[key] is not None}
    return config.theta, {"rope_type": kind, **wanted}
