"""Each cell against the NumPy reference, forward and gradient, in float32."""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from helpers import numpy_llama as reference
from helpers.cells import forward_and_gradients, set_weights
from mindspore import Tensor

from mindcode.config.model_schema import ModelConfig
from mindcode.model.attention_cores import PlainAttention
from mindcode.model.cross_entropy import PlainCrossEntropy
from mindcode.model.dtypes import dtypes_of
from mindcode.model.feed_forward import FeedForward
from mindcode.model.lean import LeanAttention, LeanCrossEntropy, LeanNorm
from mindcode.model.leaves import Embedding, Linear, TiedLinear
from mindcode.model.masks import AdditiveMask, BinaryMask
from mindcode.model.norm import PlainNorm, RMSNorm

# float32 against float64: sums of some dozen products of values around 1.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
FP32 = (ms.float32, ms.float32)


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def test_linear(random: np.random.Generator) -> None:
    x, weight, dy = normal(random, 6, 16), normal(random, 24, 16), normal(random, 6, 24)
    cell = Linear(16, 24, *FP32)
    set_weights(cell, {"weight": weight})
    output, (dx,), gradients = forward_and_gradients(cell, [Tensor(x)], dy, 1)
    expected, back = reference.linear(x, weight)
    for got, wanted in zip((output, dx, gradients["weight"]), (expected, *back(dy)), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_tied_linear_differentiates_the_table_it_is_given(random: np.random.Generator) -> None:
    x, weight, dy = normal(random, 6, 16), normal(random, 24, 16), normal(random, 6, 24)
    output, gradients, _ = forward_and_gradients(TiedLinear(ms.float32), [Tensor(x), Tensor(weight)], dy, 2)
    expected, back = reference.linear(x, weight)
    for got, wanted in zip((output, *gradients), (expected, *back(dy)), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_embedding_adds_the_gradients_of_a_token_that_comes_twice(random: np.random.Generator) -> None:
    ids, table, dy = np.array([[3, 1], [3, 0]], np.int32), normal(random, 5, 8), normal(random, 4, 8)
    cell = Embedding(5, 8, *FP32)
    set_weights(cell, {"embedding_weight": table})
    output, _, gradients = forward_and_gradients(cell, [Tensor(ids)], dy, 0)
    expected, back = reference.embedding(ids.reshape(-1), table)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_allclose(gradients["embedding_weight"], back(dy)[0], **CLOSE)


@pytest.mark.parametrize("core", [PlainNorm, LeanNorm])
def test_rms_norm(random: np.random.Generator, core: type[PlainNorm] | type[LeanNorm]) -> None:
    x, weight, dy = normal(random, 6, 16), normal(random, 16), normal(random, 6, 16)
    cell = RMSNorm(16, *FP32, 1e-3, core)
    set_weights(cell, {"weight": weight})
    output, (dx,), gradients = forward_and_gradients(cell, [Tensor(x)], dy, 1)
    expected, back = reference.rms_norm(x, weight, 1e-3)
    for got, wanted in zip((output, dx, gradients["weight"]), (expected, *back(dy)), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_feed_forward(random: np.random.Generator, config: ModelConfig) -> None:
    x, dy = normal(random, 6, 32), normal(random, 6, 32)
    w1, w2, w3 = normal(random, 48, 32) / 5, normal(random, 32, 48) / 5, normal(random, 48, 32) / 5
    cell = FeedForward(config, dtypes_of(config))
    set_weights(cell, {"w1.weight": w1, "w2.weight": w2, "w3.weight": w3})
    output, (dx,), gradients = forward_and_gradients(cell, [Tensor(x)], dy, 1)

    gate, back_gate = reference.linear(x.astype(np.float64), w1)
    up, back_up = reference.linear(x.astype(np.float64), w3)
    inner, back_inner = reference.swiglu(gate, up)
    expected, back_out = reference.linear(inner, w2)
    d_inner, d_w2 = back_out(dy)
    (dx_gate, d_w1), (dx_up, d_w3) = (
        back(d) for back, d in zip((back_gate, back_up), back_inner(d_inner), strict=True)
    )
    np.testing.assert_allclose(output, expected, **CLOSE)
    np.testing.assert_allclose(dx, dx_gate + dx_up, **CLOSE)
    for name, wanted in {"w1.weight": d_w1, "w2.weight": d_w2, "w3.weight": d_w3}.items():
        np.testing.assert_allclose(gradients[name], wanted, **CLOSE, err_msg=name)


@pytest.mark.parametrize("core", [PlainAttention, LeanAttention])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_attention_cores(
    random: np.random.Generator, config: ModelConfig, core: type[PlainAttention] | type[LeanAttention], kv_heads: int
) -> None:
    config = replace(config, n_kv_heads=kv_heads)
    q, dy = normal(random, 2, 2, 4, 6, 8)
    k, v = normal(random, 2, 2, kv_heads, 6, 8)
    hidden = reference.hidden_keys(np.array([[5, 0, 7, 8, 0, 0], [1, 2, 3, 4, 5, 6]]), 0)
    mask = np.where(hidden, -1e9, 0).astype(np.float32)
    inputs = [Tensor(x) for x in (q, k, v, mask)]
    output, gradients, _ = forward_and_gradients(core(config, dtypes_of(config)), inputs, dy, 3)
    expected, back = reference.attention(*(x.astype(np.float64) for x in (q, k, v)), hidden)
    np.testing.assert_allclose(output, expected, **CLOSE)
    for got, wanted in zip(gradients, back(dy), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


@pytest.mark.parametrize("core", [PlainCrossEntropy, LeanCrossEntropy])
def test_cross_entropies(random: np.random.Generator, core: type[PlainCrossEntropy] | type[LeanCrossEntropy]) -> None:
    logits, targets, dy = 4 * normal(random, 7, 20), random.integers(0, 20, 7), normal(random, 7)
    logits[0, targets[0]] -= 200.0  # a probability that float32 cannot hold still has a loss
    inputs = [Tensor(logits), Tensor(targets, ms.int32)]
    output, gradients, _ = forward_and_gradients(core(20), inputs, dy, 1)
    expected, back = reference.cross_entropy(logits.astype(np.float64), targets)
    np.testing.assert_allclose(output, expected, **CLOSE)
    np.testing.assert_allclose(gradients[0], back(dy)[0], **CLOSE)


def test_masks_hide_the_future_and_padding() -> None:
    ids = np.array([[4, 0, 2], [0, 1, 1]], np.int32)
    hidden = reference.hidden_keys(ids, 0)
    additive = AdditiveMask(5, 0, ms.float32)(Tensor(ids)).asnumpy()
    np.testing.assert_array_equal(additive, np.where(hidden, np.float32(-1e9), 0))
    half = AdditiveMask(5, 0, ms.float16)(Tensor(ids)).asnumpy()
    assert half.dtype == np.float16 and np.isfinite(half).all()
    binary = BinaryMask(5, 0, ms.float16)(Tensor(ids)).asnumpy()
    assert binary.dtype == np.uint8
    np.testing.assert_array_equal(binary, hidden)
