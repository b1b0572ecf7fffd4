"""The step as a whole: torch's trajectory, accumulation, clipping, loss scale, overfitting."""

import mindspore as ms
import numpy as np
import pytest
from helpers.training import GOLDEN, golden_weights, load, tiny_model, tiny_network
from mindspore import nn, ops

from mindcode.config.optimizers import RULES
from mindcode.config.schema import OptimizerConfig
from mindcode.training.optim import AdamW, step_scalars
from mindcode.training.step import Hooks, MicroBatch, Step, StepResult, build_step

RULE = RULES["AdamW"]
PLAIN = OptimizerConfig(weight_decay=0.0)


def new_step(
    micro_batches: int, config: OptimizerConfig = PLAIN, max_grad_norm: float | None = None, hooks: Hooks | None = None
) -> tuple[Step, AdamW]:
    """A step on the golden's network with its first weights."""
    network = tiny_network(tiny_model())
    load(network, golden_weights("before"))
    optimizer = AdamW(network.trainable_params(), config, RULE)
    return build_step(network, optimizer, micro_batches, max_grad_norm, hooks), optimizer


def weights(optimizer: AdamW) -> dict[str, np.ndarray]:
    return {parameter.name: parameter.asnumpy().copy() for parameter in optimizer.parameters}


def golden_batches(step: int) -> list[MicroBatch]:
    golden = np.load(GOLDEN)
    return [MicroBatch(*pair) for pair in zip(golden["input_ids"][step], golden["labels"][step], strict=True)]


def test_three_steps_equal_torch() -> None:
    golden = np.load(GOLDEN)
    config = OptimizerConfig(beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1)
    step, optimizer = new_step(2, config, max_grad_norm=1.0)
    for number, rate in enumerate(golden["learning_rates"]):
        result = step(golden_batches(number), 1.0, step_scalars(config, RULE, float(rate), number + 1))
        # float32 here, float64 there: 1e-6 relative after some hundred operations
        assert result.loss == pytest.approx(golden["losses"][number], rel=1e-5)
        assert result.global_norm == pytest.approx(golden["norms"][number], rel=1e-5)
        assert not result.overflow
    for name, value in weights(optimizer).items():
        # Adam divides by the gradient's own size, so the few smallest gradients carry a larger relative error
        np.testing.assert_allclose(value, golden_weights("after")[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_micro_batches_equal_one_batch_where_all_masks_are_alike() -> None:
    generator = np.random.default_rng(3)
    ids, labels = generator.integers(1, 37, (2, 4, 12), dtype=np.int32)
    halves = [MicroBatch(ids[:2], labels[:2]), MicroBatch(ids[2:], labels[2:])]
    scalars = step_scalars(PLAIN, RULE, 1e-2, 1)
    outcomes = []
    for batches in ([MicroBatch(ids, labels)], halves):
        step, optimizer = new_step(len(batches), max_grad_norm=1.0)
        outcomes.append((step(batches, 1.0, scalars), weights(optimizer)))
    (whole, by_whole), (sum_of_halves, by_halves) = outcomes
    # the same sums in another order
    assert sum_of_halves.loss == pytest.approx(whole.loss, rel=1e-6)
    assert sum_of_halves.global_norm == pytest.approx(whole.global_norm, rel=1e-5)
    for name, value in by_whole.items():
        np.testing.assert_allclose(by_halves[name], value, atol=1e-5, err_msg=name)


def test_buffers_are_empty_again_after_each_step() -> None:
    batch, scalars = golden_batches(0), step_scalars(PLAIN, RULE, 0.0, 1)
    step, _ = new_step(2)
    assert step(batch, 1.0, scalars) == step(batch, 1.0, scalars)


class Doubled(nn.Cell):
    """A reduction over two processes that hold the same gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.mul = ops.HyperMap(), ops.Mul()

    def construct(self, gradients: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        return self.map(ops.partial(self.mul, 2.0), gradients)


def test_a_reduction_comes_before_the_norm() -> None:
    batch, scalars = golden_batches(0)[:1], step_scalars(PLAIN, RULE, 0.0, 1)
    plain, _ = new_step(1)
    doubled, _ = new_step(1, hooks=Hooks(reduce=Doubled()))
    assert doubled(batch, 1.0, scalars).global_norm == pytest.approx(2 * plain(batch, 1.0, scalars).global_norm)


@pytest.fixture(scope="module")
def half_step() -> tuple[Step, AdamW]:
    """A step of a network in float16, with an optimizer that can skip."""
    network = tiny_network(tiny_model("float16"))
    optimizer = AdamW(network.trainable_params(), PLAIN, RULE, can_skip=True)
    return build_step(network, optimizer, 1, 1.0), optimizer


def take(half_step: tuple[Step, AdamW], loss_scale: float, rate: float) -> StepResult:
    return half_step[0](golden_batches(0)[:1], loss_scale, step_scalars(PLAIN, RULE, rate, 1))


def test_the_loss_scale_cancels_out(half_step: tuple[Step, AdamW]) -> None:
    small, large = take(half_step, 1.0, 0.0), take(half_step, 1024.0, 0.0)
    assert large.loss == small.loss
    assert large.global_norm == pytest.approx(small.global_norm, rel=1e-2)  # float16 keeps 11 bits


def test_an_overflow_skips_the_update(half_step: tuple[Step, AdamW]) -> None:
    before = weights(half_step[1])
    assert take(half_step, 1e9, 1e-2).overflow
    for name, value in weights(half_step[1]).items():
        np.testing.assert_array_equal(value, before[name])
    assert not take(half_step, 1024.0, 1e-2).overflow
    assert any((value != before[name]).any() for name, value in weights(half_step[1]).items())


def test_eight_rows_are_learned_by_heart() -> None:
    ids = np.random.default_rng(0).integers(1, 37, (8, 13), dtype=np.int32)
    batch = [MicroBatch(np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:]))]
    step, _ = new_step(1, max_grad_norm=1.0)
    losses = [step(batch, 1.0, step_scalars(PLAIN, RULE, 1e-2, number)).loss for number in range(1, 301)]
    assert losses[0] > 3.5
    assert losses[-1] < 0.05
