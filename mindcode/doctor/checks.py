"""The table of all checks, and what runs them.

findings = dict(examine(this_machine(), Needs()))
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mindcode.doctor import ascend, network, packages, programs, system
from mindcode.doctor.finding import Finding, not_applicable, problem
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Needs


class Check(NamedTuple):
    """A row of the table."""

    run: Callable[[Machine, Needs], Finding]
    only_for_npus: bool = False

    def finding(self, machine: Machine, needs: Needs) -> Finding:
        """Return what it says of a machine."""
        if self.only_for_npus and not needs.ascend:
            return not_applicable("no NPU is asked for")
        try:
            return self.run(machine, needs)
        except OSError as error:
            return problem(f"{error.filename}: {error.strerror}", "run it as the user who will run the job")


CHECKS = {
    "Python": Check(packages.python),
    "NumPy": Check(packages.numpy),
    "MindSpore": Check(packages.mindspore),
    "MindFormers": Check(packages.mindformers),
    "MindSpore computes": Check(packages.product_on_cpu),
    "simulation": Check(packages.simulation),
    "driver": Check(ascend.driver, only_for_npus=True),
    "NPUs": Check(ascend.npus, only_for_npus=True),
    "NPUs' health": Check(ascend.health, only_for_npus=True),
    "CANN": Check(ascend.cann, only_for_npus=True),
    "CANN's variables": Check(ascend.cann_environment, only_for_npus=True),
    "CANN's packages": Check(ascend.cann_packages, only_for_npus=True),
    "MindSpore on the NPU": Check(packages.product_on_npu, only_for_npus=True),
    "NPU memory": Check(ascend.device_memory, only_for_npus=True),
    "NPUs' patience": Check(ascend.patience, only_for_npus=True),
    "own name": Check(network.own_name),
    "meeting place": Check(network.meeting_place),
    "cores": Check(system.cores),
    "memory": Check(system.memory),
    "shared memory": Check(system.shared_memory),
    "disk": Check(system.disk),
    "shared storage": Check(system.shared_storage),
    "limits": Check(system.limits),
    "compiler cache": Check(system.compiler_cache),
    "dry run": Check(programs.dry_run),
    "languages": Check(programs.languages),
}
"""In the order in which they are shown."""


def examine(machine: Machine, needs: Needs) -> Iterator[tuple[str, Finding]]:
    """Run all checks, several at once since most of them wait; yield names and findings in the order of the table."""
    with ThreadPoolExecutor() as pool:
        running = {name: pool.submit(check.finding, machine, needs) for name, check in CHECKS.items()}
        for name, finding in running.items():
            yield name, finding.result()
