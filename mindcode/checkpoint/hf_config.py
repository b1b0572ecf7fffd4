"""Hugging Face's config.json <-> our model_config."""

from pathlib import Path
from typing import Any

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
_SEQ_LENGTH = 2048


def config_from_hf(data: dict[str, Any], path: Path) -> ModelConfig:
    """Translate a config.json; raises UserError for an architecture or a setting that is not built here."""
    _check_llama(data, path)
    method, scaling, theta = _rope(data, path)
    bos, eos = data.get("bos_token_id"), data.get("eos_token_id")
    bos = 1 if bos is None else bos
    eos = tuple(eos) if isinstance(eos, list) else (2 if eos is None else eos)
    positions = data.get("max_position_embeddings")
    return ModelConfig(
        seq_length=min(positions or _SEQ_LENGTH, _SEQ_LENGTH),
        hidden_size=data["hidden_size"],
        num_layers=data["num_hidden_layers"],
        num_heads=data["num_attention_heads"],
        n_kv_heads=data.get("num_key_value_heads"),
        vocab_size=data["vocab_size"],
        intermediate_size=data.get("intermediate_size", 11008),
        max_position_embedding=positions,
        rms_norm_eps=data.get("rms_norm_eps", 1e-6),
        theta=theta,
        extend_method=method,
        scaling_factor=scaling,
        tie_word_embeddings=bool(data.get("tie_word_embeddings", False)),
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=default_pad(data.get("pad_token_id"), bos, eos),
    )


def default_pad(pad: int | None, bos: int, eos: int | tuple[int, ...]) -> int:
    """The padding id; a model without one pads with <unk> (0) in Llama's vocabulary, else with its end mark."""
    if pad is not None:
        return pad
    return 0 if bos == 1 else (eos if isinstance(eos, int) else eos[0])


def _check_llama(data: dict[str, Any], path: Path) -> None:
    if data.get("model_type") != "llama":
        raise UserError(f"{path}: model_type is {data.get('model_type')!r}; only 'llama' can be converted")
    missing = [key for key in _SIZES if not isinstance(data.get(key), int)]
    if missing:
        raise UserError(f"{path}: no {missing[0]} in it; fetch it again")
    head_dim = data["hidden_size"] // data["num_attention_heads"]
    for key, built in {"attention_bias": False, "mlp_bias": False, "hidden_act": "silu", "head_dim": head_dim}.items():
        if data.get(key) not in (None, built):
            raise UserError(f"{path}: {key} is {data[key]!r}; only {built!r} is built here")


def _rope(data: dict[str, Any], path: Path) -> tuple[str, float | RopeScaling, float]:
    """Read rotary settings where transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters) keep them."""
    found = {**(data.get("rope_scaling") or {}), **(data.get("rope_parameters") or {})}
    theta = float(found.get("rope_theta", data.get("rope_theta", 10000.0)))
    kind = found.get("rope_type", found.get("type", "default"))
    if kind == "default":
        return "None", 1.0, theta
    if kind not in _ROPE_TYPES:
        known = ", ".join(_ROPE_TYPES.values())
        raise UserError(f"{path}: rope_scaling type {kind!r} cannot be converted (known: default, {known})")
    if not isinstance(found.get("factor"), int | float):
        raise UserError(f"{path}: rope_scaling of type {kind!r} has no factor; fetch the file again")
    if kind == "linear":
        return "PI", float(found["factor"]), theta
    values = {ours: found[theirs] for theirs, ours in _ROPE_FIELDS.items() if found.get(theirs) is not None}
    return _ROPE_TYPES[kind], RopeScaling(**values), theta


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
