"""The semi-automatic step computes what the step of one process does: its function, on a CPU and without its compiler.

Everything but the collectives and the accumulation in MindSpore's pipeline is in it: the sum over interleaved copies,
the loss scale as the gradient of the loss, the divisor, the norm, clipping and the update.
"""

from collections.abc import Callable
from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from helpers.training import tiny_model, tiny_network
from mindspore import Tensor, nn

from mindcode.config.optimizers import RULES
from mindcode.config.schema import ModelSection, OptimizerConfig, RunConfig
from mindcode.parallel import semi_auto_step
from mindcode.parallel.semi_auto_step import GlobalSumOfSquares, SemiAutoStep, micro_batched
from mindcode.training.optim import AdamW, step_scalars
from mindcode.training.step import Apply, Hooks, LossNetwork, MicroBatch, build_step

MODEL = tiny_model()
OPTIMIZER, RULE = OptimizerConfig(weight_decay=0.1), RULES["AdamW"]
CLIP, SCALE, ROWS = 0.5, 8.0, 4


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process: nothing to parallelise, nothing to add up."""

    def as_it_is(step: Callable[..., object], config: RunConfig) -> Callable[..., object]:
        return step

    monkeypatch.setattr(semi_auto_step, "parallelized", as_it_is)
    monkeypatch.setattr(semi_auto_step.ops, "AllReduce", nn.Identity)


def rows(count: int) -> MicroBatch:
    tokens = np.random.default_rng(0).integers(1, MODEL.vocab_size, (count, MODEL.seq_length + 1)).astype(np.int32)
    return MicroBatch(np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]))


def optimizer_of(network: LossNetwork) -> AdamW:
    return AdamW(network.trainable_params(), OPTIMIZER, RULE, can_skip=True)


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize("copies", [1, 2])
def test_a_step_equals_that_of_one_process(copies: int) -> None:
    batch, scalars = rows(ROWS), step_scalars(OPTIMIZER, RULE, 1e-2, 1)
    run = RunConfig(model=ModelSection(model_config=MODEL), micro_batch_interleave_num=copies)

    network = tiny_network(MODEL)
    optimizer = optimizer_of(network)
    hooks = Hooks(sum_squares=GlobalSumOfSquares(optimizer.parameters, run))
    step = SemiAutoStep(network, optimizer.parameters, Apply(optimizer, CLIP, hooks), run)
    loss, norm, finite = step(batch.input_ids, batch.labels, SCALE, scalars.tensor())

    alone = tiny_network(MODEL)
    parts = [MicroBatch(*arrays) for arrays in zip(*(np.split(array, copies) for array in batch), strict=True)]
    expected = build_step(alone, optimizer_of(alone), copies, CLIP)(parts, SCALE, scalars)

    assert bool(finite.asnumpy()) and not expected.overflow
    # the same sums in another order, in fp32
    np.testing.assert_allclose(float(loss.asnumpy()), expected.loss, rtol=1e-6)
    np.testing.assert_allclose(float(norm.asnumpy()), expected.global_norm, rtol=1e-5)
    for mine, theirs in zip(network.trainable_params(), alone.trainable_params(), strict=True):
        np.testing.assert_allclose(mine.asnumpy(), theirs.asnumpy(), rtol=0, atol=1e-5, err_msg=mine.name)


class SquareOfSum(nn.Cell):
    """Not linear in its rows, so that it shows which of them were together."""

    def construct(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        return (input_ids * labels).sum() ** 2


@pytest.mark.parametrize(("accumulated", "copies"), [(2, 1), (1, 2), (2, 2)])
def test_rows_are_taken_micro_batch_after_micro_batch(accumulated: int, copies: int) -> None:
    run = RunConfig(micro_batch_interleave_num=copies)
    run = replace(run, runner_config=replace(run.runner_config, gradient_accumulation_steps=accumulated))
    network = micro_batched(SquareOfSum(), run)

    @ms.jit
    def graph(input_ids: Tensor, labels: Tensor) -> Tensor:
        return network(input_ids, labels)

    ids = np.arange(24, dtype=np.float32).reshape(8, 3)
    found = float(graph(Tensor(ids), Tensor(np.ones_like(ids))).asnumpy())
    assert found == sum(part.sum() ** 2 for part in np.split(ids, accumulated * copies))
