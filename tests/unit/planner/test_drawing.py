"""The picture is well-formed and holds every pass and every rank."""

from collections.abc import Callable
from xml.etree import ElementTree

from mindcode.config.schema import RunConfig
from mindcode.planner.drawing import draw
from mindcode.planner.summary import summarize

Load = Callable[..., RunConfig]

SVG = "{http://www.w3.org/2000/svg}"


def styles(svg: str) -> list[str]:
    return [shape.get("class", "") for shape in ElementTree.fromstring(svg).iter(f"{SVG}rect")]


def test_training(load: Load) -> None:
    found = styles(draw(summarize(load("finetune_codellama_34b_32p"))))
    assert found.count("forward") == found.count("backward") == 4 * 8
    assert (found.count("rank"), found.count("fits"), found.count("over")) == (32, 4, 0)


def test_what_does_not_fit_is_red(load: Load) -> None:
    found = styles(draw(summarize(load("finetune_codellama_34b_32p", ("context.max_device_memory", "26GB")))))
    assert (found.count("fits"), found.count("over")) == (2, 2)


def test_prediction_has_no_schedule(load: Load) -> None:
    found = styles(draw(summarize(load("predict_codellama_34b"))))
    assert (found.count("forward"), found.count("rank")) == (0, 4)
