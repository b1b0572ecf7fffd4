"""The search: every candidate keeps the global batch, fits, and is a configuration that can be written down."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import processes_needed, rows_per_step
from mindcode.config.validate import validate
from mindcode.planner.memory import device_memory, rank_memory
from mindcode.planner.search import Found, candidates, search
from mindcode.utils.errors import UserError

Load = Callable[..., RunConfig]

F32 = "finetune_codellama_34b_32p"


@pytest.fixture(scope="module")
def found(load: Load) -> list[Found]:
    """What fits 32 NPUs."""
    return search(load(F32), 32)


def test_what_is_found_fits_and_keeps_the_batch(load: Load, found: list[Found]) -> None:
    config = load(F32)
    speeds = [one.estimate.tokens_per_second for one in found]
    assert len(found) > 20
    assert speeds == sorted(speeds, reverse=True)
    for one in found:
        validate(one.candidate.config)
        assert processes_needed(one.candidate.config) == 32
        assert rows_per_step(one.candidate.config) == rows_per_step(config) == 256
        firsts = range(0, 32, one.candidate.dims.data_parallel * one.candidate.dims.model_parallel)
        assert max(rank_memory(one.candidate.config, rank).total for rank in firsts) <= device_memory(config)


def test_the_published_split_is_among_them(load: Load, found: list[Found]) -> None:
    config = load(F32)
    published = [one.candidate for one in found if one.candidate.config == config]
    assert [candidate.recompute for candidate in published] == ["none"]


def test_the_settings_give_the_candidate_again(load: Load, found: list[Found]) -> None:
    for one in found[::10]:
        settings = tuple(one.candidate.settings.items())
        assert load(F32, *settings) == one.candidate.config


def test_other_numbers_of_devices(load: Load) -> None:
    degrees = {one.candidate.dims.world_size for one in search(load(F32), 16)}
    assert degrees == {16}
    assert search(load(F32), 2) == []
    assert list(candidates(load(F32), 7)) == []


def test_a_tied_table_on_two_stages_cannot_share_its_state(load: Load) -> None:
    config = load(F32)
    tied = replace(
        config, model=replace(config.model, model_config=replace(config.model.model_config, tie_word_embeddings=True))
    )
    for one in candidates(tied, 8):
        assert not (one.shards_optimizer and one.dims.pipeline_stage > 1 and one.dims.data_parallel > 1)


def test_prediction_is_not_searched(load: Load) -> None:
    with pytest.raises(UserError, match="only training"):
        search(load("predict_codellama_34b"), 4)
