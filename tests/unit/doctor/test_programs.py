"""Compilers, by their names and versions."""

from pathlib import Path

from helpers.machines import machine

from mindcode.doctor import programs
from mindcode.doctor.finding import Status
from mindcode.doctor.machine import Ran
from mindcode.doctor.needs import Needs


def test_what_the_dry_run_needs_and_which_package_has_it(tmp_path: Path) -> None:
    installed = {name: Ran(0, "12.2.0\n") for name in programs.TOOLS}
    assert programs.dry_run(machine(tmp_path, programs=installed), Needs()).status is Status.OK
    del installed["nm"], installed["g++"]
    finding = programs.dry_run(machine(tmp_path, programs=installed), Needs())
    assert finding.status is Status.WARNING
    assert finding.found == "no g++, no nm" and "apt-get install binutils g++" in finding.todo


def test_languages_with_their_versions_and_those_left_out(tmp_path: Path) -> None:
    installed = {
        "node": Ran(0, "v20.20.2\n"),
        "go": Ran(0, "go version go1.22.3 linux/amd64\n"),
        "javac": Ran(1, "1.0"),
    }
    finding = programs.languages(machine(tmp_path, programs=installed), Needs())
    assert finding.found == "Python, JavaScript (20.20.2), Go (1.22.3); not C++, Java, Rust"
