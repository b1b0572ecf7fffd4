"""Every split of the work over real processes trains like one process: losses, norms, gradients and weights.

Many cases share a launch, for starting processes takes longer than training in them.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.parallel import Case, launch
from parallel.cases import CASES, run_case

from mindcode.config.schema import ContextConfig
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.explicit import block_of
from mindcode.parallel.plan import Plan
from mindcode.runtime.context import set_context
from mindcode.runtime.distributed import World

TOLERANCE = {"float32": 1e-5, "float16": 1e-2}
"""Relative to the largest element of a tensor: the same sums in another order, of which float32 keeps 6e-8 at each of
some hundred operations, and float16 5e-4."""

TWO = [name for name, case in CASES.items() if case.world == 2]
FOUR = [name for name, case in CASES.items() if case.world == 4]
EIGHT = [name for name, case in CASES.items() if case.world == 8]
Launched = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module", autouse=True)
def graph_mode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Graph mode on the CPU, for the side with one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("compiler"))
        set_context(ContextConfig(device_target="CPU"))
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    return launch(TWO, 2, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    return launch(FOUR, 4, tmp_path_factory.mktemp("four"))


@functools.cache
def alone(case: Case) -> dict[str, np.ndarray]:
    """The same steps in this process."""
    return run_case(case, World(0, 1))


def check(name: str, ranks: Launched) -> None:
    """Compare every block that a rank holds with the same block of the single process."""
    case, expected = CASES[name], alone(CASES[name].alone)
    tolerance = TOLERANCE[case.dtype]
    plan = Plan(case.config.model.model_config, ParallelDims.of(case.config), case.offset)
    for rank, found in enumerate(ranks):
        mine = {key.removeprefix(f"{name}/"): value for key, value in found.items() if key.startswith(f"{name}/")}
        np.testing.assert_array_equal(mine["overflows"], expected["overflows"])
        np.testing.assert_allclose(mine["losses"], expected["losses"], rtol=tolerance)
        np.testing.assert_allclose(mine["norms"], expected["norms"], rtol=tolerance)
        for parameter, weight_block in plan.local_parameters(rank).items():
            state_block = weight_block
            if case.zero:
                state_block = plan.state_placement(parameter, weight_block.global_shape, rank, threshold=0)
            for key, block in ((parameter, weight_block), (f"adam_m.{parameter}", state_block)):
                whole = expected[key]
                atol = tolerance * np.abs(whole).max()
                np.testing.assert_allclose(
                    mine[key], block_of(whole, block), rtol=0, atol=atol, err_msg=f"{rank} {key}"
                )


@pytest.mark.parametrize("name", TWO)
def test_two_processes(name: str, two: Launched) -> None:
    check(name, two)


@pytest.mark.parametrize("name", FOUR)
def test_four_processes(name: str, four: Launched) -> None:
    check(name, four)


def test_eight_processes(tmp_path: Path) -> None:
    ranks = launch(EIGHT, 8, tmp_path)
    for name in EIGHT:
        check(name, ranks)


def test_under_the_launcher_of_mindspore(tmp_path: Path) -> None:
    msrun = ("msrun", "--local_worker_num=2", "--join=True")
    names = ["dp2_zero_accumulating", "tp2_sequence_recompute", "pp2_tied_uneven"]
    ranks = launch(names, 2, tmp_path, msrun)
    for name in names:
        check(name, ranks)


def test_replicas_hold_equal_weights_bit_for_bit(two: Launched) -> None:
    for name in (name for name in TWO if CASES[name].dp == 2):
        first, second = two
        keys = [key for key in first if key.startswith(f"{name}/") and "adam_m." not in key]
        assert all(np.array_equal(first[key], second[key]) for key in keys)
