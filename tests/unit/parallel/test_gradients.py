"""Which gradients travel in which message, and that each sum ends in its gradient's place: without other processes."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcode.parallel import gradients
from mindcode.parallel.gradients import Addition, GradientSums
from mindcode.runtime.distributed import SINGLE, Group

PAIR, OTHERS = Group("pair", 0, 2), Group("others", 0, 4)
SHAPES = ((4, 5), (3,), (30,), (2, 2), (7,))


class Times(nn.Cell):
    """In the place of a sum over a group: as if all its processes had the same."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.size = group.size

    def construct(self, x: Tensor) -> Tensor:
        return x * self.size


@pytest.fixture
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of at most 25 elements, that nobody else gets."""
    monkeypatch.setattr(gradients, "BUCKET", 25)
    monkeypatch.setattr(gradients, "Sum", Times)


@pytest.mark.usefixtures("small_messages")
def test_messages_are_filled_in_order() -> None:
    found = list(gradients._buckets(Addition(PAIR, (0, 1, 2, 3, 4)), SHAPES))
    # 20 + 3 elements fit; 30 are too many for any message and travel alone
    assert [bucket.indices for bucket in found] == [(0, 1), (2,), (3, 4)]
    assert all(bucket.group == PAIR for bucket in found)


@pytest.mark.usefixtures("small_messages")
def test_an_addition_of_nothing_sends_nothing() -> None:
    assert list(gradients._buckets(Addition(PAIR, ()), SHAPES)) == []


@pytest.mark.usefixtures("small_messages")
def test_groups_of_one_send_nothing() -> None:
    assert len(GradientSums((Addition(SINGLE, (0, 1)),), SHAPES).additions) == 0


@pytest.mark.usefixtures("small_messages")
def test_sums_end_in_the_places_of_their_gradients() -> None:
    additions = (Addition(PAIR, (3, 0, 2)), Addition(SINGLE, (1,)), Addition(OTHERS, (4, 3)))
    values = [np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i, shape in enumerate(SHAPES)]
    sums = GradientSums(additions, SHAPES)

    @ms.jit
    def graph(given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return sums(given)

    results = graph(tuple(Tensor(value) for value in values))
    for value, factor, result in zip(values, (2, 1, 2, 8, 4), results, strict=True):
        # factors that are powers of two change no digit
        np.testing.assert_array_equal(result.asnumpy(), value * factor)
