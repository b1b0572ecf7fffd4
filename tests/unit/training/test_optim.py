"""AdamW against the formula in float64, for full and half precision, with and without bias correction."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcode.config.optimizers import RULES
from mindcode.config.schema import OptimizerConfig
from mindcode.training.optim import AdamW, _parts, step_scalars

CONFIG = OptimizerConfig(beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1)
RATE, SCALE, STEPS = 1e-2, 0.5, 3
SHAPES = {"matrix.weight": (4, 6), "norm.weight": (6,), "matrix.bias": (4, 1)}


def values(seed: int) -> dict[str, np.ndarray]:
    """Numbers that float16 holds exactly."""
    generator = np.random.default_rng(seed)
    drawn = {name: generator.standard_normal(shape).astype(np.float16) for name, shape in SHAPES.items()}
    return {name: value.astype(np.float64) for name, value in drawn.items()}


def reference(bias_correction: bool) -> dict[str, np.ndarray]:
    """Loshchilov and Hutter's algorithm, letter by letter; decay only for the matrix."""
    weights = values(0)
    m = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    v = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    for t in range(1, STEPS + 1):
        for name, gradient in values(t).items():
            g = gradient * SCALE
            m[name] = CONFIG.beta1 * m[name] + (1 - CONFIG.beta1) * g
            v[name] = CONFIG.beta2 * v[name] + (1 - CONFIG.beta2) * g**2
            m_hat = m[name] / (1 - CONFIG.beta1**t if bias_correction else 1)
            v_hat = v[name] / (1 - CONFIG.beta2**t if bias_correction else 1)
            decay = CONFIG.weight_decay if name == "matrix.weight" else 0.0
            weights[name] -= RATE * (m_hat / (np.sqrt(v_hat) + CONFIG.eps) + decay * weights[name])
    return weights


def gradients(seed: int) -> tuple[Tensor, ...]:
    return tuple(Tensor(value, ms.float32) for value in values(seed).values())


def parameters(dtype: ms.Type) -> list[Parameter]:
    return [Parameter(Tensor(value, dtype), name=name) for name, value in values(0).items()]


def train(optimizer: AdamW, rule: str) -> None:
    for update in range(1, STEPS + 1):
        scalars = step_scalars(CONFIG, RULES[rule], RATE, update).tensor()
        optimizer(gradients(update), Tensor(SCALE, ms.float32), scalars, Tensor(True))


@pytest.mark.parametrize("rule", RULES)
def test_float32_follows_the_formula(rule: str) -> None:
    optimizer = AdamW(parameters(ms.float32), CONFIG, RULES[rule])
    train(optimizer, rule)
    expected = reference(RULES[rule].bias_correction)
    for parameter in optimizer.parameters:
        # float32 rounding of a handful of operations on numbers of size 1
        np.testing.assert_allclose(parameter.asnumpy(), expected[parameter.name], rtol=2e-6, atol=2e-6)


def test_half_precision_keeps_what_rounding_would_lose() -> None:
    optimizer = AdamW(parameters(ms.float16), CONFIG, RULES["AdamW"])
    train(optimizer, "AdamW")
    expected = reference(bias_correction=True)
    for parameter, copy in zip(optimizer.parameters, optimizer.targets, strict=True):
        assert copy.name == f"adam_master.{parameter.name}"
        np.testing.assert_allclose(copy.asnumpy(), expected[parameter.name], rtol=2e-6, atol=2e-6)
        np.testing.assert_array_equal(parameter.asnumpy(), copy.asnumpy().astype(np.float16))


def test_mindformers_variant_updates_half_precision_directly() -> None:
    rule = "FP32StateAdamWeightDecay"
    optimizer = AdamW(parameters(ms.float16), CONFIG, RULES[rule])
    train(optimizer, rule)
    assert [state.name for state in optimizer.state] == [f"adam_{m}.{name}" for m in "mv" for name in SHAPES]
    for parameter in optimizer.parameters:
        # each of the three steps rounds to float16: 11 bits, numbers up to 4
        expected = reference(bias_correction=False)[parameter.name]
        np.testing.assert_allclose(parameter.asnumpy(), expected, rtol=0, atol=3 * 4 * 2**-11)


def test_a_step_that_is_not_ok_changes_nothing() -> None:
    optimizer = AdamW(parameters(ms.float32), CONFIG, RULES["AdamW"], can_skip=True)
    train(optimizer, "AdamW")
    before = [p.asnumpy().copy() for p in (*optimizer.parameters, *optimizer.state)]
    broken = tuple(Tensor(np.full(shape, np.nan), ms.float32) for shape in SHAPES.values())
    scalars = step_scalars(CONFIG, RULES["AdamW"], RATE, STEPS + 1).tensor()
    optimizer(broken, Tensor(np.nan, ms.float32), scalars, Tensor(False))
    for old, parameter in zip(before, (*optimizer.parameters, *optimizer.state), strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), old)


def test_copies_follow_weights_loaded_without_a_state() -> None:
    optimizer = AdamW(parameters(ms.float16), CONFIG, RULES["AdamW"])
    optimizer.parameters[0].set_data(Tensor(np.full((4, 6), 0.5), ms.float16))
    optimizer.refresh_copies()
    assert (optimizer.targets[0].asnumpy() == 0.5).all()


def test_a_part_of_an_update_is_no_larger_than_the_largest_parameter() -> None:
    sizes = [50, *[1] * 100, 20]
    parts = _parts(sizes)
    assert [index for start, stop in parts for index in range(start, stop)] == list(range(len(sizes)))
    totals = [sum(sizes[start:stop]) for start, stop in parts]
    assert max(totals) <= max(sizes)
    assert all(total + sizes[stop] > max(sizes) for total, (_, stop) in zip(totals[:-1], parts[:-1], strict=True))
    assert _parts([3]) == ((0, 1),)
