"""The rank table of the published splits."""

from collections.abc import Callable

from mindcode.config.schema import RunConfig
from mindcode.planner.layout import layers_of_stages, rank_table

Load = Callable[..., RunConfig]


def test_34b_on_32_npus(load: Load) -> None:
    table = rank_table(load("finetune_codellama_34b_32p"))
    assert [place.rank for place in table] == list(range(32))
    place = table[13]
    assert (place.machine, place.stage, place.replica, place.part) == (1, 1, 1, 1)
    assert place.layers == tuple(range(12, 24))
    assert place.tensor_group == (12, 13, 14, 15)
    assert place.data_group == (9, 13)
    assert place.pipeline_group == (5, 13, 21, 29)


def test_offsets_move_layers(load: Load) -> None:
    config = load("finetune_codellama_34b_16p", ("model.model_config.offset", "[1, -1]"))
    assert [len(layers) for layers in layers_of_stages(config)] == [25, 23]


def test_one_process(load: Load) -> None:
    (place,) = rank_table(load("predict_codellama_7b"))
    assert (place.tensor_group, place.layers) == ((0,), tuple(range(32)))
