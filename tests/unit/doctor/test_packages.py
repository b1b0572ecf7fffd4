"""Python and its packages: versions, and a product that MindSpore computes in a process of its own."""

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.machines import machine

from mindcode.doctor import packages
from mindcode.doctor.ascend import ACCEPTED_CANN, CANN
from mindcode.doctor.finding import Status
from mindcode.doctor.machine import Ran
from mindcode.doctor.needs import Needs
from mindcode.neighbours.mindformers_keys import VERSION
from mindcode.runtime.simulation import MARKER


@pytest.mark.parametrize(
    ("version", "status"),
    [((3, 9, 18), Status.PROBLEM), ((3, 10, 0), Status.OK), ((3, 12, 9), Status.OK), ((3, 13, 0), Status.PROBLEM)],
)
def test_python_has_wheels(tmp_path: Path, version: tuple[int, int, int], status: Status) -> None:
    assert packages.python(replace(machine(tmp_path), python=version), Needs()).status is status


@pytest.mark.parametrize("version", [None, "2.7.0"])
def test_another_mindspore_is_a_problem_that_names_the_right_one(tmp_path: Path, version: str | None) -> None:
    here = machine(tmp_path, packages={"mindspore": version} if version else {})
    finding = packages.mindspore(here, Needs())
    assert finding.status is Status.PROBLEM and "mindspore==2.9.0" in finding.todo


@pytest.mark.parametrize(("version", "status"), [("1.26.4", Status.OK), ("2.1.0", Status.PROBLEM)])
def test_numpy_2_is_a_problem(tmp_path: Path, version: str, status: Status) -> None:
    assert packages.numpy(machine(tmp_path, packages={"numpy": version}), Needs()).status is status


@pytest.mark.parametrize(("version", "status"), [("1.9.0", Status.OK), ("1.8.0", Status.WARNING), ("", Status.PROBLEM)])
def test_mindformers_matters_when_it_trains(version: str, status: Status, tmp_path: Path) -> None:
    here = machine(tmp_path, packages={"mindformers": version} if version else {})
    assert packages.mindformers(here, Needs()).status is Status.NOT_APPLICABLE
    assert packages.mindformers(here, Needs(engine="mindformers")).status is status


@pytest.mark.parametrize(
    ("ran", "status", "word"),
    [
        (Ran(0, "[WARNING] something\nproduct 16.0\n"), Status.OK, "import included"),
        (Ran(0, "product 0.0\n"), Status.PROBLEM, "wrong product: product 0.0"),
        (Ran(1, "Traceback\nImportError: libgomp.so.1\n"), Status.PROBLEM, "ImportError: libgomp.so.1"),
        (Ran(-11, ""), Status.PROBLEM, "SIGSEGV"),
        (Ran(124, ""), Status.PROBLEM, "nothing after 120 s"),
    ],
)
def test_what_became_of_the_product(tmp_path: Path, ran: Ran, status: Status, word: str) -> None:
    finding = packages.product_on_cpu(machine(tmp_path, programs={"python": ran}), Needs())
    assert finding.status is status and word in finding.found


def test_without_mindspore_or_npu_nothing_is_computed(tmp_path: Path) -> None:
    bare = machine(tmp_path, packages={})
    assert packages.product_on_cpu(bare, Needs()).status is Status.NOT_APPLICABLE
    assert packages.product_on_npu(machine(tmp_path), Needs("Ascend")).status is Status.NOT_APPLICABLE


def test_a_stub_on_the_path_is_a_problem(tmp_path: Path) -> None:
    assert packages.simulation(machine(tmp_path), Needs()).status is Status.OK
    (tmp_path / MARKER).touch()
    finding = packages.simulation(machine(tmp_path, {"LD_LIBRARY_PATH": f"/usr/lib:{tmp_path}"}), Needs())
    assert finding.status is Status.PROBLEM and str(tmp_path) in finding.found and "LD_LIBRARY_PATH" in finding.todo
    assert packages.simulation(machine(tmp_path, {"MS_SIMULATION_LEVEL": "0"}), Needs()).status is Status.PROBLEM


def test_versions_are_those_of_the_package_and_of_the_wheel(repository: Path) -> None:
    """What is written down here is what pyproject.toml asks for and what the installed MindSpore says of CANN."""
    assert f'"mindspore=={packages.MINDSPORE}"' in (repository / "pyproject.toml").read_text()
    assert packages.MINDFORMERS == VERSION
    spec = importlib.util.find_spec("mindspore")
    assert spec and spec.origin
    wheel = Path(spec.origin).parent
    tree = ast.parse((wheel / "run_check" / "_check_version.py").read_text())
    checker = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "AscendEnvChecker")
    lists = [n for n in ast.walk(checker) if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "self.version"]
    assert tuple(ast.literal_eval(lists[0].value)) == ACCEPTED_CANN
    built_with = wheel / "lib" / "plugin" / "ascend" / "custom_ascendc_910b" / "version.info"
    assert built_with.read_text().strip().endswith(f"={CANN}")
