"""Checks of Python and of the packages that a run imports. MindSpore is imported only in a process of its own."""

import platform
import sys
import time
from collections.abc import Callable

from mindcode.doctor.finding import Finding, not_applicable, ok, problem, refused, warning
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Needs
from mindcode.runtime.simulation import refuse_simulation
from mindcode.utils.errors import UserError

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)
MINDSPORE, MINDFORMERS = "2.9.0", "1.9.0"
PATIENCE_SECONDS = 120.0
"""For an import of MindSpore that takes four seconds, but much longer from shared storage or on a busy machine."""

PRODUCT = """
import sys
import numpy
import mindspore
mindspore.set_device(sys.argv[1])
half = mindspore.Tensor(numpy.full((64, 64), 0.5, numpy.float32))
print("product", float(mindspore.ops.matmul(half, half).asnumpy()[0, 0]))
"""
_RIGHT = "product 16.0"
_WAYS_TO_END = {124: f"nothing after {PATIENCE_SECONDS:.0f} s", -11: "crashed (SIGSEGV)", -9: "was killed (SIGKILL)"}


def python(machine: Machine, needs: Needs) -> Finding:
    """The versions for which there are wheels of MindSpore."""
    version = ".".join(map(str, machine.python))
    if OLDEST_PYTHON <= machine.python[:2] <= NEWEST_PYTHON:
        return ok(f"{version} on {platform.machine()}")
    names = [".".join(map(str, limit)) for limit in (OLDEST_PYTHON, NEWEST_PYTHON)]
    return problem(version, f"use Python {names[0]} to {names[1]}: python3.11 -m venv .venv")


def mindspore(machine: Machine, needs: Needs) -> Finding:
    """The version that the graphs were tried with."""
    return _pinned(machine, "mindspore", MINDSPORE, problem, "graphs are only tried with that")


def numpy(machine: Machine, needs: Needs) -> Finding:
    """MindSpore's wheel is built for NumPy 1."""
    version = machine.package_version("numpy")
    if version is None:
        return problem("not installed", "pip install 'numpy>=1.26,<2'")
    if int(version.split(".")[0]) >= 2:
        return problem(version, "pip install 'numpy<2'; MindSpore is built for NumPy 1")
    return ok(version)


def mindformers(machine: Machine, needs: Needs) -> Finding:
    """The version whose configuration `engine: mindformers` is translated into."""
    if needs.engine != "mindformers":
        return not_applicable(f"engine: {needs.engine}")
    return _pinned(machine, "mindformers", MINDFORMERS, warning, "the translation is written for that")


def product_on_cpu(machine: Machine, needs: Needs) -> Finding:
    """Whether MindSpore can be imported and computes."""
    return _product(machine, "CPU")


def product_on_npu(machine: Machine, needs: Needs) -> Finding:
    """The same on the first NPU, if there is one."""
    if not machine.npus():
        return not_applicable("there is no NPU to try")
    return _product(machine, "Ascend")


def simulation(machine: Machine, needs: Needs) -> Finding:
    """Whether what is meant for dry runs would make a real run compute nothing."""
    try:
        refuse_simulation(machine.environment)
    except UserError as error:
        return refused(error)
    return ok("no stub of CANN on the path, MS_SIMULATION_LEVEL not set")


def _pinned(machine: Machine, package: str, pin: str, other: Callable[[str, str], Finding], why: str) -> Finding:
    """A package that has to be there; `other` judges another version of it."""
    version = machine.package_version(package)
    if version is None:
        return problem("not installed", f"pip install {package}=={pin}")
    if version != pin:
        return other(version, f"pip install {package}=={pin}; {why}")
    return ok(version)


def _product(machine: Machine, device: str) -> Finding:
    if machine.package_version("mindspore") is None:
        return not_applicable("MindSpore is not installed")
    started = time.monotonic()
    ran = machine.run((sys.executable, "-c", PRODUCT, device), PATIENCE_SECONDS)
    seconds = time.monotonic() - started
    lines = [line.strip() for line in ran.text.splitlines() if line.strip()]
    if ran.code == 0 and _RIGHT in lines:
        text = f"a small product on the {device} after {seconds:.0f} s, import included"
        return ok(text) if seconds < PATIENCE_SECONDS / 3 else warning(text, "a slow disk, or a busy machine?")
    if ran.code == 0:
        return problem(f"a wrong product: {lines[-1] if lines else 'nothing'}", "see what is said of simulation")
    reason = _WAYS_TO_END.get(ran.code) or (lines[-1] if lines else f"exit code {ran.code}")
    return problem(reason[:200], f"python -c 'import mindspore; mindspore.set_device(\"{device}\")' shows it in full")
