"""Unknown names are answered with the nearest known one."""

import pytest

from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup


def test_a_known_name() -> None:
    assert lookup({"cosine": 1, "linear": 2}, "linear", "schedule") == 2


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UserError) as caught:
        lookup({"cosine": 1, "linear": 2}, "cosin", "lr_schedule.type")
    assert str(caught.value) == ("lr_schedule.type: unknown name 'cosin'; did you mean cosine? (known: cosine, linear)")
