"""What holds is said, and what does not hold, too."""

from mindcode.evaluation.execution.protections import Protections, protections


def test_the_line_names_what_holds_and_what_does_not() -> None:
    line = Protections(("user", "network")).line
    assert "as a user without rights, without a network; not to be had here: a filter of system calls, a p" in line
    assert "not to be had" not in Protections(("user", "calls", "network", "processes", "files")).line


def test_this_machine_is_asked() -> None:
    assert set(protections().held) <= {"user", "calls", "network", "processes", "files"}
