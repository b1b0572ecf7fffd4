"""The table agrees with what select_recompute marks, and plain attention keeps its scores."""

import re
from collections.abc import Callable

import pytest

from mindcode.config.schema import RunConfig
from mindcode.parallel.recompute import ALWAYS, NORMS
from mindcode.planner.activations import (
    ALWAYS_KEPT,
    STATISTICS_OF_NORMS,
    Kept,
    Recompute,
    kept_by_layer,
    kept_by_stage,
    mask_bytes,
    recompute_of_layers,
)
from mindcode.planner.shapes import Sizes

Load = Callable[..., RunConfig]

F16 = "finetune_codellama_34b_16p"
MIB = 2**20


@pytest.mark.parametrize("row", ALWAYS_KEPT, ids=lambda row: row.operation)
def test_what_is_kept_is_not_marked(row: Kept) -> None:
    assert not any(re.fullmatch(pattern, row.operation) for pattern in ALWAYS)


@pytest.mark.parametrize("row", STATISTICS_OF_NORMS, ids=lambda row: row.operation)
def test_what_select_recompute_drops_is_what_it_marks(row: Kept) -> None:
    assert re.fullmatch(NORMS, row.operation)


def test_layers_by_stage(load: Load) -> None:
    settings = (("recompute_config.recompute", "[2, 0]"), ("recompute_config.select_recompute", "[3, 1]"))
    choices = recompute_of_layers(load(F16, *settings))
    assert choices[:4] == (Recompute.ALL, Recompute.ALL, Recompute.NORMS, Recompute.LITTLE)
    assert choices[24:26] == (Recompute.NORMS, Recompute.LITTLE)


def test_a_stage_is_its_layers_times_the_micro_batches_on_their_way(load: Load) -> None:
    config = load(F16)
    sizes = Sizes.of(config)
    one = 24 * kept_by_layer(sizes, Recompute.LITTLE) + mask_bytes(sizes)
    assert mask_bytes(sizes) == 16 * MIB
    assert (kept_by_stage(config, 0), kept_by_stage(config, 1)) == (2 * one, one)


@pytest.mark.parametrize(("softmax", "copies"), [("float16", 1), ("float32", 3)])
def test_plain_attention_keeps_its_scores(load: Load, softmax: str, copies: int) -> None:
    """In the softmax's format, and in the products' where that is another one; instead of statistics of rows."""
    formats = ("model.model_config.softmax_compute_type", softmax)
    fused, plain = (
        kept_by_layer(Sizes.of(load(F16, formats, ("model.model_config.use_flash_attention", flash))), Recompute.LITTLE)
        for flash in ("True", "False")
    )
    assert plain - fused == copies * 8 * 4096 * 4096 * 2 - 2 * MIB
