"""The machine that is really there: programs that end, hang or do not exist."""

import sys
from pathlib import Path

from mindcode.doctor.machine import this_machine


def test_programs_end_hang_or_do_not_exist() -> None:
    machine = this_machine()
    assert machine.run((sys.executable, "-c", "import os; print(os.getcwd())"), 20).code == 0
    assert machine.run((sys.executable, "-c", "import time; time.sleep(60)"), 0.2).code == 124
    assert machine.run(("no-such-program",), 1).code == 127


def test_what_a_program_leaves_goes_away() -> None:
    ran = this_machine().run((sys.executable, "-c", "import os; open('left', 'w'); print(os.getcwd())"), 20)
    assert not Path(ran.text.strip()).exists()


def test_packages_are_found_without_importing_them() -> None:
    machine = this_machine()
    assert machine.package_version("mindspore") and machine.package_version("no-such-package") is None
    folder = machine.module_folder("mindspore")
    assert folder and (folder / "__init__.py").is_file()
    assert machine.module_folder("no_such_module") is None


def test_files_that_cannot_be_read_are_empty() -> None:
    assert this_machine().text("/proc/mounts") and this_machine().text("/no/such/file") == ""
