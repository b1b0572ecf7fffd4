"""Rotary position embeddings (Su et al. 2021) in half-rotation layout, and their stretching beyond the trained length.

The tables are plain NumPy: the training graph takes them as constants, the decoder indexes them by position.
`extend_method` chooses the frequencies:

- None: theta^(-2i/d)
- PI (Chen et al. 2023): all positions divided by the factor
- NTK (NTK-aware scaling): theta multiplied by factor^(d/(d-2)). It does not depend on the length of the text, so that
  cached keys stay valid. The "dynamic" rule of transformers at a length L beyond the trained L0 is this one with
  factor·L/L0 - (factor-1) as the factor.
- YARN (Peng et al. 2023): slow dimensions interpolated, fast ones kept, and a temperature on cos and sin
- LLAMA3: the same idea by wavelength, as published with Llama 3.1
"""

import math
from collections.abc import Callable

import numpy as np
from mindspore import Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig, RopeScaling
from mindcode.utils.lookup import lookup


def rope_tables(config: ModelConfig, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (cos, sin), each [len(positions), head_dim] float32; the two halves of the last axis are equal.

    Angles are rounded to float32 like those the published weights were trained and measured with.
    """
    angles = np.outer(positions.astype(np.float32), rope_frequencies(config).astype(np.float32))
    angles = np.concatenate([angles, angles], axis=-1).astype(np.float64)
    scale = attention_scale(config)
    return (np.cos(angles) * scale).astype(np.float32), (np.sin(angles) * scale).astype(np.float32)


def rope_frequencies(config: ModelConfig) -> np.ndarray:
    """Return the head_dim / 2 angular frequencies in radians a token, float64."""
    method = lookup(FREQUENCIES, config.extend_method, "extend_method")
    return method(config, _scaling(config))


def attention_scale(config: ModelConfig) -> float:
    """Return what cos and sin are multiplied with: the temperature of YARN, otherwise 1."""
    scaling = _scaling(config)
    if config.extend_method != "YARN" or scaling.factor <= 1:
        return 1.0
    return scaling.mscale if scaling.mscale is not None else 0.1 * math.log(scaling.factor) + 1.0


def _scaling(config: ModelConfig) -> RopeScaling:
    given = config.scaling_factor
    return given if isinstance(given, RopeScaling) else RopeScaling(factor=float(given))


def _trained_length(config: ModelConfig, scaling: RopeScaling) -> int:
    return scaling.original_max_position_embedding or config.max_position_embedding or config.seq_length


def _powers(theta: float, head_dim: int) -> np.ndarray:
    return theta ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)


def _unscaled(config: ModelConfig, scaling: RopeScaling) -> np.ndarray:
    return _powers(config.theta, config.head_dim)


def _position_interpolation(config: ModelConfig, scaling: RopeScaling) -> np.ndarray:
    return _powers(config.theta, config.head_dim) / scaling.factor


def _ntk(config: ModelConfig, scaling: RopeScaling) -> np.ndarray:
    exponent = config.head_dim / (config.head_dim - 2)
    return _powers(config.theta * scaling.factor**exponent, config.head_dim)


def _yarn(config: ModelConfig, scaling: RopeScaling) -> np.ndarray:
    """Blend by how often a dimension turns over the trained length: fewer than beta_slow times, interpolate."""
    length = _trained_length(config, scaling)

    def dimension_turning(times: float) -> float:
        return config.head_dim * math.log(length / (times * 2 * math.pi)) / (2 * math.log(config.theta))

    first = max(math.floor(dimension_turning(scaling.beta_fast)), 0)
    last = min(math.ceil(dimension_turning(scaling.beta_slow)), config.head_dim - 1)
    index = np.arange(config.head_dim // 2, dtype=np.float64)
    interpolated = np.clip((index - first) / max(last - first, 1e-3), 0.0, 1.0)
    powers = _powers(config.theta, config.head_dim)
    return powers * (1.0 - interpolated) + powers / scaling.factor * interpolated


def _llama3(config: ModelConfig, scaling: RopeScaling) -> np.ndarray:
    """Blend by wavelength: short ones are kept, long ones divided by the factor, those between are mixed."""
    powers = _powers(config.theta, config.head_dim)
    turns = _trained_length(config, scaling) * powers / (2 * math.pi)
    kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    kept = np.clip(kept, 0.0, 1.0)
    return powers * kept + powers / scaling.factor * (1.0 - kept)


FREQUENCIES: dict[str, Callable[[ModelConfig, RopeScaling], np.ndarray]] = {
    "None": _unscaled,
    "PI": _position_interpolation,
    "NTK": _ntk,
    "YARN": _yarn,
    "LLAMA3": _llama3,
}


class Rope(nn.Cell):
    """Rotates heads x [B, N, S, H] by the tables cos, sin [1, 1, S, H]: x · cos + (-x₂, x₁) · sin."""

    def __init__(self) -> None:
        super().__init__()
        self.split = ops.Split(axis=-1, output_num=2)
        self.neg = ops.Neg()
        self.concat = ops.Concat(axis=-1)
        self.mul_cos = ops.Mul()
        self.mul_sin = ops.Mul()
        self.add = ops.Add()

    def construct(self, x_BNSH: Tensor, cos_11SH: Tensor, sin_11SH: Tensor) -> Tensor:
        first, second = self.split(x_BNSH)
        turned = self.concat((self.neg(second), first))
        return self.add(self.mul_cos(x_BNSH, cos_11SH), self.mul_sin(turned, sin_11SH))
