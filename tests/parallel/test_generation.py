"""A network that two processes share gives the answers of one process, token for token, however they are drawn.

Partial sums are added in another order than one process does it, so logits differ in their last bits; in float32, with
logits of size 10, by some 1e-5. Two tokens that are that close would make this fail: among the few hundred draws here
there are none, and the same numbers are drawn every time.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.parallel import launch
from parallel.generation_cases import CASES, PARAMS, answers

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context
from mindcode.runtime.distributed import SINGLE

Answers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the first of two processes got; the other one only followed."""
    worker = Path(__file__).with_name("generation_worker.py")
    leader, follower = launch(list(CASES), 2, tmp_path_factory.mktemp("two"), worker=worker)
    assert not follower
    return leader


@pytest.mark.parametrize("name", CASES)
def test_two_processes_answer_like_one(name: str, two: Answers) -> None:
    set_context(ContextConfig(device_target="CPU"))
    alone = answers(CASES[name], SINGLE)
    assert len(alone) == 7 * len(PARAMS) and {len(tokens) for tokens in alone.values()} != {20}
    for key, tokens in alone.items():
        np.testing.assert_array_equal(two[f"{name}/{key}"], tokens, err_msg=key)


def test_the_ways_to_draw_differ(two: Answers) -> None:
    drawn = [np.concatenate([two[f"plain/{name}/{number}"] for number in range(7)]) for name in PARAMS]
    assert not any(np.array_equal(first, second) for first, second in pairwise(drawn))
