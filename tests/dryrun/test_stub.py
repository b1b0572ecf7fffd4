"""The stub of CANN, built from the installed wheel of MindSpore and nothing else."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from mindcode.dryrun import wheel
from mindcode.dryrun.environment import simulated_rank
from mindcode.dryrun.stub import LIBRARIES, ensure_stub
from mindcode.runtime.simulation import LEVEL, PATH, refuse_simulation
from mindcode.utils.errors import UserError

BUILD = """
import sys
from mindcode.dryrun.stub import ensure_stub
print(ensure_stub())
assert "mindspore" not in sys.modules
"""


@pytest.fixture(scope="module")
def stub(cache: Path) -> Path:
    """Two processes want it at the same time; one builds."""
    both = [subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {process.communicate(timeout=300)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (folder,) = folders
    return Path(folder)


def test_nothing_is_left_beside_it_and_nothing_built_again(stub: Path, cache: Path) -> None:
    root = cache / "mindcode" / "cann-stub"
    before = (stub / LIBRARIES).stat()
    assert ensure_stub() == stub
    assert (stub / LIBRARIES).stat() == before
    assert {path.name for path in root.iterdir()} == {stub.parent.name, "lock"}


def test_every_library_that_the_wheel_lacks_is_there(stub: Path) -> None:
    folder = wheel.mindspore_folder()
    wanted = wheel.missing_libraries(folder, wheel.ascend_libraries(folder))
    assert {"libhccl.so", "libge_runner.so", "libopapi.so"} <= wanted
    assert wanted <= {path.name for path in (stub / LIBRARIES).iterdir()}


def test_functions_succeed_and_the_chip_has_a_name(stub: Path) -> None:
    library = ctypes.CDLL(str(stub / LIBRARIES / "libascendcl.so"))
    library.aclrtGetSocName.restype = ctypes.c_char_p
    assert library.aclInit(None) == 0
    assert library.aclrtGetSocName() == b"Ascend910B2"


def test_only_a_simulated_rank_finds_it_and_before_a_real_cann(stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCEND_HOME_PATH", "/usr/local/Ascend/ascend-toolkit/latest")
    monkeypatch.setenv(PATH, "/usr/local/Ascend/ascend-toolkit/latest/lib64")
    environment = simulated_rank(stub, wheel.mindspore_folder(), rank=8, world_size=16)
    folders = environment[PATH].split(":")
    assert folders[0] == str(stub / LIBRARIES) and folders[-1] == "/usr/local/Ascend/ascend-toolkit/latest/lib64"
    assert environment["ASCEND_HOME_PATH"] == str(stub)
    assert (environment["RANK_ID"], environment["RANK_SIZE"], environment[LEVEL]) == ("8", "16", "1")
    with pytest.raises(UserError, match="holds a stub of CANN"):
        refuse_simulation(environment)


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"gcc: not found.*apt-get install gcc"):
        wheel.check_tools()
