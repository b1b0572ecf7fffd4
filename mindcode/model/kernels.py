"""Which cells do the work that devices do differently: a table by `context.device_target`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import mindspore as ms
from mindspore import nn

from mindcode.config.model_schema import ModelConfig
from mindcode.model.attention_cores import FlashAttention, PlainAttention, PlainSwap
from mindcode.model.cross_entropy import PlainCrossEntropy
from mindcode.model.dtypes import Dtypes
from mindcode.model.lean import LeanAttention, LeanCrossEntropy, LeanNorm, LeanRope, LeanSwap
from mindcode.model.masks import AdditiveMask, BinaryMask
from mindcode.model.norm import FusedNorm, PlainNorm
from mindcode.model.rope import Rope
from mindcode.utils.lookup import lookup


@dataclass(frozen=True)
class Kernels:
    """The interchangeable cells of one network."""

    mask: Callable[[int, int, ms.Type], nn.Cell]
    """(seq_length, pad_token_id, softmax dtype) -> the cell that makes the mask `attention` expects."""
    attention: Callable[[ModelConfig, Dtypes], nn.Cell]
    """The core of attention, see attention_cores.py."""
    swap: Callable[[], nn.Cell]
    """The exchange of the two middle axes, between tokens and heads."""
    rope: Callable[[], nn.Cell]
    """The rotation of queries and keys."""
    norm: Callable[[float], nn.Cell]
    """The core of RMSNorm, from eps."""
    cross_entropy: Callable[[int], nn.Cell]
    """The loss of each token, from the vocabulary's size."""


PLAIN = Kernels(
    mask=AdditiveMask,
    attention=PlainAttention,
    swap=PlainSwap,
    rope=Rope,
    norm=PlainNorm,
    cross_entropy=PlainCrossEntropy,
)
CPU = Kernels(
    mask=AdditiveMask,
    attention=LeanAttention,
    swap=LeanSwap,
    rope=LeanRope,
    norm=LeanNorm,
    cross_entropy=LeanCrossEntropy,
)
ASCEND = replace(PLAIN, norm=FusedNorm)
ASCEND_FLASH = replace(ASCEND, mask=BinaryMask, attention=FlashAttention)

TABLE = {("CPU", False): CPU, ("CPU", True): CPU, ("Ascend", False): ASCEND, ("Ascend", True): ASCEND_FLASH}
"""By device target and use_flash_attention."""


def kernels_for(device_target: str, config: ModelConfig) -> Kernels:
    """Return the row of the table; UserError for a device that is not in it."""
    devices = {device: kernels for (device, flash), kernels in TABLE.items() if flash == config.use_flash_attention}
    return lookup(devices, device_target, "context.device_target")
