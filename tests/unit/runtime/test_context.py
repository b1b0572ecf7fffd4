"""Graph mode on the CPU, errors for what is not supported, and an empty working directory."""

import os
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindcode.config.schema import ContextConfig
from mindcode.runtime.context import set_context
from mindcode.runtime.env import COMPILER_FOLDERS
from mindcode.utils.errors import UserError


class Product(nn.Cell):
    """x · x, which does not exist for a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.matmul = ops.MatMul()

    def construct(self, x: Tensor) -> Tensor:
        return self.matmul(x, x)


def test_graph_mode_on_the_cpu_may_be_set_again() -> None:
    for _ in range(2):
        set_context(ContextConfig(device_target="CPU"))
        assert ms.get_context("mode") == ms.GRAPH_MODE
        assert ms.get_context("device_target") == "CPU"


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (ContextConfig(device_target="CPU", mode=1), r"context\.mode: 1 is not supported; use 0"),
        (ContextConfig(device_target="GPU"), r"context\.device_target: unknown name 'GPU'.*\(known: Ascend, CPU\)"),
    ],
)
def test_what_is_not_supported_is_named(context: ContextConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        set_context(context)


def test_a_missing_ascend_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(target: str, device_id: int) -> None:
        raise RuntimeError(f"Unsupported device target {target}. This process only supports one of the ['CPU'].\n---")

    monkeypatch.setattr(ms, "set_device", refuse)
    with pytest.raises(UserError, match=r"none for .* \(Unsupported device target Ascend\); give --device_target CPU"):
        set_context(ContextConfig(device_target="Ascend"))


@pytest.mark.parametrize(("role", "npu"), [("MS_WORKER", 5), (None, 3)])
def test_every_worker_has_an_npu_of_its_own(role: str | None, npu: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(target: str, device_id: int) -> None:
        asked.append(device_id)
        raise RuntimeError("no NPU here")

    monkeypatch.setattr(ms, "set_device", refuse)
    monkeypatch.setenv("DEVICE_ID", "5")
    monkeypatch.setenv("MS_ROLE", role) if role else monkeypatch.delenv("MS_ROLE", raising=False)
    with pytest.raises(UserError):
        set_context(ContextConfig(device_target="Ascend", device_id=3))
    assert asked == [npu]


def test_a_failed_compilation_leaves_nothing_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, files = tmp_path / "work", tmp_path / "files"
    work.mkdir()
    monkeypatch.chdir(work)
    for variable in COMPILER_FOLDERS:
        monkeypatch.setenv(variable, str(files))
    set_context(ContextConfig(device_target="CPU"))
    with pytest.raises(Exception, match="MatMul"):
        Product()(Tensor(np.ones(3, np.float32)))
    assert [path.name for path in work.rglob("*")] == []
    assert list(files.rglob("analyze_fail.ir"))


def test_compiler_files_have_a_folder_unless_the_user_chose_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, free = COMPILER_FOLDERS
    monkeypatch.setenv(chosen, "/somewhere")
    monkeypatch.delenv(free, raising=False)
    set_context(ContextConfig(device_target="CPU"))
    assert os.environ[chosen] == "/somewhere"
    assert f"mindcode-{os.getuid()}" in os.environ[free]


def test_graphs_are_dumped_where_the_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler reads the variables once, at the first compilation of a process.
    for variable in ("MS_DEV_SAVE_GRAPHS", "MS_DEV_SAVE_GRAPHS_PATH"):
        monkeypatch.setenv(variable, "")
    set_context(ContextConfig(device_target="CPU", save_graphs=2, save_graphs_path="/somewhere"))
    assert (os.environ["MS_DEV_SAVE_GRAPHS"], os.environ["MS_DEV_SAVE_GRAPHS_PATH"]) == ("2", "/somewhere")
