"""Which layers a setting of recompute_config chooses, and which operations are marked."""

import re

import mindspore as ms
import numpy as np
import pytest
from helpers.training import tiny_model
from mindspore import Tensor

from mindcode.config.schema import RecomputeConfig
from mindcode.model.init import initialize
from mindcode.model.kernels import PLAIN
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.parallel.recompute import ALWAYS, chosen_layers, set_recompute
from mindcode.training.step import LossNetwork
from mindcode.utils.errors import UserError

STAGES = (0, 0, 0, 1, 1)
KEY = "recompute_config.recompute"


@pytest.mark.parametrize("everything", [False, True])
def test_a_switch_is_for_all_layers(everything: bool) -> None:
    assert chosen_layers(everything, STAGES, KEY) == (everything,) * 5


@pytest.mark.parametrize(
    ("setting", "chosen"),
    [
        ((0, 0), (False, False, False, False, False)),
        ((2, 1), (True, True, False, True, False)),
        ((0, 2), (False, False, False, True, True)),
    ],
)
def test_numbers_count_from_the_beginning_of_each_stage(setting: tuple[int, ...], chosen: tuple[bool, ...]) -> None:
    assert chosen_layers(setting, STAGES, KEY) == chosen


@pytest.mark.parametrize("setting", [(1,), (1, 1, 1)])
def test_one_number_for_each_stage(setting: tuple[int, ...]) -> None:
    message = rf"recompute_config\.recompute: {len(setting)} numbers for pipeline_stage 2; give one for each stage"
    with pytest.raises(UserError, match=message):
        chosen_layers(setting, STAGES, KEY)


def test_a_stage_has_so_many_layers() -> None:
    with pytest.raises(UserError, match=r"recompute: 9 layers of stage 1, which has 2; give 0 to that"):
        chosen_layers((0, 9), STAGES, KEY)


@pytest.mark.parametrize(
    ("operation", "again"),
    [
        ("feed_forward.silu", True),
        ("attention.merge_heads.transpose", True),
        ("attention_norm.cast", True),
        ("attention_norm.cast_back", False),  # would keep the fp32 result of the norm in its place
        ("attention.rope_k.mul_sin", False),
        ("attention.core.flash", False),
        ("feed_forward.w1.cast", False),
    ],
)
def test_what_every_layer_computes_again(operation: str, again: bool) -> None:
    assert any(re.fullmatch(pattern, operation) for pattern in ALWAYS) is again


def gradients(setting: RecomputeConfig | None) -> list[np.ndarray]:
    sizes = tiny_model()
    model = LlamaForCausalLM(sizes, PLAIN)
    initialize(model, seed=0, std=sizes.init_method_std)
    if setting:
        set_recompute(model, (0, 0), setting)
    network = LossNetwork(model, CausalLMLoss(sizes, PLAIN))
    gradient = ms.jit(ms.value_and_grad(network, None, network.trainable_params()))
    tokens = Tensor(np.random.default_rng(0).integers(1, sizes.vocab_size, (2, sizes.seq_length)).astype(np.int32))
    return [found.asnumpy() for found in gradient(tokens, tokens)[1]]


def test_what_is_computed_again_changes_no_gradient() -> None:
    """The same operations on the same numbers, so nothing but the order of sums may differ: 1e-6 of the largest."""
    plain = gradients(None)
    for setting in (RecomputeConfig(), RecomputeConfig(select_recompute=True), RecomputeConfig(recompute=(1,))):
        for mine, expected in zip(gradients(setting), plain, strict=True):
            np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=str(setting))
