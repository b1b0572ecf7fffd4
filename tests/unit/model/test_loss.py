"""The masked mean: which tokens count, and what happens when none does."""

import mindspore as ms
import numpy as np
import pytest
from helpers.cells import forward_and_gradients
from helpers.numpy_llama import masked_mean_loss
from mindspore import Tensor

from mindcode.config.model_schema import ModelConfig
from mindcode.model.kernels import CPU, PLAIN, Kernels
from mindcode.model.loss import CausalLMLoss


@pytest.mark.parametrize("kernels", [PLAIN, CPU], ids=["plain", "cpu"])
def test_loss_counts_tokens_with_an_input_and_a_label(
    random: np.random.Generator, config: ModelConfig, kernels: Kernels
) -> None:
    logits = random.standard_normal((2, 5, 61)).astype(np.float32)
    input_ids = np.array([[7, 8, 0, 9, 0], [1, 2, 3, 4, 5]], np.int32)
    labels = np.array([[8, 3, 9, -100, 0], [2, -100, 4, 60, 0]], np.int32)
    inputs = [Tensor(logits), Tensor(input_ids), Tensor(labels)]
    loss, (gradient,), _ = forward_and_gradients(CausalLMLoss(config, kernels), inputs, np.ones(()), 1)
    expected, back = masked_mean_loss(config, logits.reshape(10, -1).astype(np.float64), input_ids, labels)
    assert loss.dtype == np.float32
    # float32 against float64, a mean of ten values.
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient.reshape(10, -1), back(np.ones(()))[0], atol=1e-6)
    assert not gradient[0, 2:].any() and not gradient[1, 1].any()


@pytest.mark.parametrize("kernels", [PLAIN, CPU], ids=["plain", "cpu"])
def test_a_batch_without_any_label_has_no_loss_and_no_gradient(config: ModelConfig, kernels: Kernels) -> None:
    logits = Tensor(np.ones((1, 3, 61)), ms.float16)
    input_ids, labels = Tensor([[4, 5, 6]], ms.int32), Tensor([[-100, -100, -100]], ms.int32)
    cell = CausalLMLoss(config, kernels)
    loss, (gradient,), _ = forward_and_gradients(cell, [logits, input_ids, labels], np.ones(()), 1)
    assert float(loss) == 0.0 and not gradient.any()
