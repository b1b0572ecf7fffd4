"""Sampling against a reference that follows the definitions one token at a time."""

import math

import numpy as np
import pytest

from mindcode.generation.sampling import distribution, draw, needs_logits, next_token, penalised
from mindcode.generation.types import SamplingParams

LOGITS = np.random.default_rng(3).normal(0, 3, 50).astype(np.float32)


def reference(logits: np.ndarray, params: SamplingParams) -> dict[int, float]:
    """Probabilities by id: temperature, then top-k, then the fewest most likely tokens that reach top-p."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token])
    order = order[: params.top_k] if params.top_k else order
    weights = {token: math.exp((float(logits[token]) - float(logits.max())) / params.temperature) for token in order}
    total = sum(weights.values())
    kept: dict[int, float] = {}
    for token in order:
        if params.top_p < 1 and sum(kept.values()) >= params.top_p:
            break
        kept[token] = weights[token] / total
    return {token: weight / sum(kept.values()) for token, weight in kept.items()}


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 7, 500])
@pytest.mark.parametrize("top_p", [0.0, 0.3, 0.95, 1.0])
def test_distribution_equals_the_definition(temperature: float, top_k: int, top_p: float) -> None:
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, do_sample=True)
    ids, probabilities = distribution(LOGITS, params)
    expected = reference(LOGITS, params) or {int(LOGITS.argmax()): 1.0}
    assert set(ids.tolist()) == set(expected)
    # both sides sum float64 numbers, in another order
    np.testing.assert_allclose(probabilities, [expected[int(token)] for token in ids], rtol=1e-9)


def test_equal_logits_keep_the_lower_ids() -> None:
    ids, _ = distribution(np.zeros(9, np.float32), SamplingParams(top_k=9, top_p=0.5, do_sample=True))
    assert ids.tolist() == [0, 1, 2, 3, 4]


def test_draws_follow_the_probabilities() -> None:
    generator = np.random.default_rng(0)
    candidates = (np.array([4, 2, 9]), np.array([0.5, 0.3, 0.2]))
    drawn = [draw(candidates, generator) for _ in range(4000)]
    # four standard deviations of a binomial with 4000 draws are 0.032
    for token, probability in zip(*candidates, strict=True):
        assert abs(drawn.count(int(token)) / 4000 - probability) < 0.032


def test_a_number_just_below_one_draws_the_last_token() -> None:
    class Highest:
        def random(self) -> float:
            return 1 - 2**-53

    assert draw((np.array([1, 2]), np.array([0.7, 0.3 - 1e-12])), Highest()) == 2  # type: ignore[arg-type]


def test_repetition_penalty_counts_a_token_once() -> None:
    logits = np.array([2.0, -2.0, 1.0, 0.0], np.float32)
    result = penalised(logits, np.array([0, 1, 1, 0]), 1.25)
    np.testing.assert_allclose(result, [1.6, -2.5, 1.0, 0.0])
    assert logits.tolist() == [2.0, -2.0, 1.0, 0.0], "the caller's logits stay as they are"


def test_the_penalty_works_without_sampling() -> None:
    params = SamplingParams(repetition_penalty=2.0)
    logits = np.array([1.0, 1.5, 0.0], np.float32)
    assert needs_logits(params) and not needs_logits(SamplingParams())
    assert next_token(logits, np.array([1]), params, np.random.default_rng(0)) == 0


def test_the_seed_alone_decides() -> None:
    params = SamplingParams(do_sample=True, temperature=1.5)

    def answer(seed: int) -> list[int]:
        generator = np.random.default_rng(seed)
        return [next_token(LOGITS, np.array([]), params, generator) for _ in range(12)]

    assert answer(7) == answer(7) != answer(8)
