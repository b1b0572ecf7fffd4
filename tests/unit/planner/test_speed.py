"""The estimate: where it is calibrated it misses both speeds equally, elsewhere it follows what is changed."""

from collections.abc import Callable

import pytest

from mindcode.config.schema import RunConfig
from mindcode.planner.speed import PUBLISHED, SHARE, Published, estimate, nominal_step_seconds

Load = Callable[..., RunConfig]

F16 = "finetune_codellama_34b_16p"


@pytest.mark.parametrize("known", PUBLISHED, ids=lambda known: known.config)
def test_the_stated_estimates_are_what_it_says(load: Load, known: Published) -> None:
    name, stated = known.config.removesuffix(".yaml"), known.estimated
    assert estimate(load(name)).tokens_per_second == pytest.approx(stated, abs=0.1)


def test_the_share_is_the_fit() -> None:
    first, second = PUBLISHED
    ratios = [known.estimated / known.tokens_per_second / SHARE for known in PUBLISHED]
    assert pytest.approx(2 / sum(ratios), abs=5e-4) == SHARE
    assert first.error == pytest.approx(-second.error, abs=1e-3)
    assert abs(first.error) < 0.02


def test_more_micro_batches_shrink_the_bubble(load: Load) -> None:
    few, many = (load(F16, ("parallel_config.micro_batch_num", number)) for number in ("2", "200"))
    assert estimate(few).tokens_per_second < 0.7 * estimate(many).tokens_per_second


def test_computing_again_costs_time(load: Load) -> None:
    plain, norms, whole = (
        nominal_step_seconds(load(F16, *more))
        for more in (
            (),
            (("recompute_config.select_recompute", "True"),),
            (("recompute_config.recompute", "True"),),
        )
    )
    assert plain < norms < 1.1 * plain < 1.2 * plain < whole < 1.45 * plain


def test_tensor_parallelism_over_machines_is_slow(load: Load) -> None:
    within = load(
        "finetune_codellama_7b_8p", ("parallel_config.data_parallel", "1"), ("parallel_config.model_parallel", "8")
    )
    across = load(
        "finetune_codellama_7b_8p", ("parallel_config.data_parallel", "1"), ("parallel_config.model_parallel", "16")
    )
    assert estimate(across).tokens_per_second < estimate(within).tokens_per_second / 2
