"""Number formats by the names used in a configuration."""

from dataclasses import dataclass

import mindspore as ms

from mindcode.config.model_schema import ModelConfig
from mindcode.utils.lookup import lookup

DTYPES = {"float32": ms.float32, "float16": ms.float16, "bfloat16": ms.bfloat16}


@dataclass(frozen=True)
class Dtypes:
    """The formats of one network."""

    compute: ms.Type
    """Matrix products and the residual stream."""
    softmax: ms.Type
    """Attention softmax."""
    norm: ms.Type
    """RMSNorm and its weights."""
    rotary: ms.Type
    """Rotary tables and rotation."""
    param: ms.Type
    """Weight matrices."""
    embedding: ms.Type
    """The embedding table."""


def dtype_of(name: str, key: str) -> ms.Type:
    """Return MindSpore's type of that name; `key` is the configuration key, named in the UserError for another."""
    return lookup(DTYPES, name, key)


def dtypes_of(config: ModelConfig) -> Dtypes:
    """Read all formats of a configuration."""
    return Dtypes(
        compute=dtype_of(config.compute_dtype, "compute_dtype"),
        softmax=dtype_of(config.softmax_compute_type, "softmax_compute_type"),
        norm=dtype_of(config.layernorm_compute_type, "layernorm_compute_type"),
        rotary=dtype_of(config.rotary_dtype, "rotary_dtype"),
        param=dtype_of(config.param_init_type, "param_init_type"),
        embedding=dtype_of(config.embedding_init_type or config.param_init_type, "embedding_init_type"),
    )
