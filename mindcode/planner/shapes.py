"""The sizes that memory and traffic are made of: tokens, widths and number formats on one rank.

sizes = Sizes.of(config)
sizes.bytes_of("t", "width", "compute")      # a micro-batch's residual stream on this rank
"""

import functools
from dataclasses import dataclass

from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import RunConfig
from mindcode.parallel.dims import ParallelDims

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
"""Of one number, by format."""

STATISTICS = 2 * 8
"""Fused attention keeps the maximum and the sum of each row of scores, each in eight equal columns."""


@dataclass(frozen=True)
class Sizes:
    """What one rank sees of one micro-batch."""

    model: ModelConfig
    tokens: int
    """Of the micro-batch in one replica."""
    parts: int
    """Degree of tensor parallelism."""
    is_sliced: bool
    """Whether each part has its own tokens of the residual stream (sequence parallelism)."""

    @classmethod
    def of(cls, config: RunConfig) -> "Sizes":
        """Read them off a configuration."""
        model, parts = config.model.model_config, ParallelDims.of(config).model_parallel
        rows = config.runner_config.batch_size * config.micro_batch_interleave_num
        return cls(model, rows * model.seq_length, parts, config.parallel_config.use_seq_parallel and parts > 1)

    def bytes_of(self, tokens: str, width: str, form: str) -> int:
        """Return the bytes of an activation, from its row in words: letter of tokens, width, format."""
        return self._tokens[tokens] * self.bytes_per_token(width, form)

    def bytes_per_token(self, width: str, form: str) -> int:
        """Return the bytes of one token of it."""
        return self._widths[width] * BYTES[format_of(self.model, form)]

    @functools.cached_property
    def _tokens(self) -> dict[str, int]:
        """By letter, as in parallel/strategies.py: d, all of the micro-batch; t, those of the residual stream."""
        return {"d": self.tokens, "t": self.tokens // self.parts if self.is_sliced else self.tokens}

    @functools.cached_property
    def _widths(self) -> dict[str, int]:
        """Elements for a token on this rank, by what they are."""
        model, heads = self.model, self.model.num_heads // self.parts
        return {
            "one": 1,
            "width": model.hidden_size,
            "heads": heads * model.head_dim,
            "kv_heads": model.kv_heads * model.head_dim // self.parts,
            "ffn": model.ffn_size // self.parts,
            "scores": heads * model.seq_length,
            "row": model.seq_length,
            "statistics": heads * STATISTICS,
            "vocabulary": model.vocab_size // self.parts,
        }


def format_of(model: ModelConfig, form: str) -> str:
    """Return the number format of a kind of value; float32 and int8 stand for themselves."""
    formats = {
        "compute": model.compute_dtype,
        "softmax": model.softmax_compute_type,
        "norm": model.layernorm_compute_type,
        "param": model.param_init_type,
        "embedding": model.embedding_init_type or model.param_init_type,
    }
    return formats.get(form, form)
