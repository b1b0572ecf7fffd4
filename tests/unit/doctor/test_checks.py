"""The table of checks: all of them answer, in its order, whatever the machine refuses."""

from dataclasses import replace
from pathlib import Path

from helpers.machines import atlas, machine

from mindcode.doctor.checks import CHECKS, examine
from mindcode.doctor.finding import Status
from mindcode.doctor.needs import Needs


def test_every_check_answers_in_the_order_of_the_table(tmp_path: Path) -> None:
    job = Needs("Ascend", worker_num=16, local_worker_num=8, output_dir=Path("/mnt/share/run"))
    for here, needs in ((machine(tmp_path), Needs()), (machine(tmp_path), job), (atlas(tmp_path), job)):
        findings = dict(examine(here, needs))
        assert list(findings) == list(CHECKS)
        for finding in findings.values():
            assert bool(finding.todo) == (finding.status in (Status.PROBLEM, Status.WARNING))


def test_what_the_system_refuses_is_a_problem_of_that_check_alone(tmp_path: Path) -> None:
    def refuse(folder: Path) -> int:
        raise PermissionError(13, "Permission denied", str(folder))

    findings = dict(examine(replace(machine(tmp_path), free_bytes=refuse), Needs()))
    assert findings["disk"].status is Status.PROBLEM and "Permission denied" in findings["disk"].found
    assert findings["cores"].status is Status.OK
