"""Checks of what an NPU needs: CANN, its environment, the driver, the devices, their memory.

For jobs on NPUs only. Versions: MindSpore's own lists (run_check/_check_version.py and
custom_ascendc_910b/version.info in its wheel) and the table of MindFormers 1.9.0, which names the driver too.
"""

import os
import re
from pathlib import Path

from mindcode.config.sizes import GIB
from mindcode.doctor.finding import Finding, not_applicable, ok, problem, warning
from mindcode.doctor.machine import Machine
from mindcode.doctor.needs import Needs

CANN = "9.0.0"
"""What the operators in MindSpore's wheel are built with, and what MindFormers names beside MindSpore 2.9.0."""
ACCEPTED_CANN = ("8.2", "8.3", "8.5", "9.0")
"""What MindSpore 2.9.0 accepts without a warning."""
DRIVER = "26.0"
"""What MindFormers names beside CANN 9.0.0 (26.0.RC1)."""

CANN_FOLDERS = (
    "/usr/local/Ascend/cann",
    "/usr/local/Ascend/ascend-toolkit",
    "~/Ascend/cann",
    "~/Ascend/ascend-toolkit",
)
"""Where CANN is installed by default, by root or by somebody else, from 8.5 on or before; set_env.sh lies there."""
VERSION_FILES = ("compiler/version.info", "share/info/runtime/version.info", "version.info")
"""Below ASCEND_HOME_PATH: MindSpore reads the first one; from CANN 8.5 on there is the second."""
ENVIRONMENT = {
    "PYTHONPATH": "opp/built-in/op_impl/ai_core/tbe",
    "LD_LIBRARY_PATH": "/lib64",
    "ASCEND_OPP_PATH": "/opp",
}
"""What MindSpore looks for in which variable."""
PYTHON_PACKAGES = ("te", "hccl")
"""Packages of CANN that MindSpore imports: the compiler of kernels, the version of the collectives."""
DRIVER_FILE, FIRMWARE_FILE = "/usr/local/Ascend/driver/version.info", "/usr/local/Ascend/firmware/version.info"
GROUP = "HwHiAiUser"
PATIENCE, DEFAULT_SECONDS, BETTER_SECONDS = "HCCL_CONNECT_TIMEOUT", 120, 1800
"""How long an NPU waits for the others when they connect: CANN's variable and its default. They connect when their
graphs are compiled, and with many layers one stage may compile for minutes longer than another."""

_VERSION = re.compile(r"^Version=(\S+)", re.MULTILINE)
_UNHEALTHY = re.compile(r"\|\s*(Warning|Alarm|Critical|Offline)\s*\|")
_NPU_SMI_SECONDS = 10.0


def cann(machine: Machine, needs: Needs) -> Finding:
    """Whether this shell knows CANN, and which version it is."""
    home = machine.environment.get("ASCEND_HOME_PATH")
    if not home:
        scripts = [path / "set_env.sh" for path in _cann_folders(machine)]
        if here := [script for script in scripts if machine.at(script).exists()]:
            return problem("installed, but this shell does not know it", f"source {here[0]}")
        return problem("not installed", f"install CANN {CANN}, toolkit and ops, then source its set_env.sh")
    version = next(filter(None, (_version(machine.text(Path(home) / name)) for name in VERSION_FILES)), "")
    if not version:
        return warning(f"{home}, version unknown", "is ASCEND_HOME_PATH right? There is no version.info")
    if ".".join(version.split(".")[:2]) not in ACCEPTED_CANN:
        return problem(f"{version} at {home}", f"install CANN {CANN}; MindSpore accepts {', '.join(ACCEPTED_CANN)}")
    if version != CANN:
        return warning(f"{version} at {home}", f"better {CANN}: the operators in MindSpore's wheel are built with it")
    return ok(f"{version} at {home}")


def cann_environment(machine: Machine, needs: Needs) -> Finding:
    """Whether set_env.sh has set what MindSpore looks for."""
    missing = [name for name, part in ENVIRONMENT.items() if part not in machine.environment.get(name, "")]
    if missing:
        return problem(f"{', '.join(missing)} without CANN's folders", "source CANN's set_env.sh in this shell")
    return ok(", ".join(ENVIRONMENT))


def cann_packages(machine: Machine, needs: Needs) -> Finding:
    """Whether Python finds the packages of CANN."""
    missing = [name for name in PYTHON_PACKAGES if machine.module_folder(name) is None]
    if missing:
        where = "in $ASCEND_HOME_PATH/python/site-packages, which set_env.sh puts on PYTHONPATH"
        return problem(f"no {' and no '.join(missing)}", f"source CANN's set_env.sh; they are {where}")
    return ok(", ".join(PYTHON_PACKAGES))


def driver(machine: Machine, needs: Needs) -> Finding:
    """Which driver and firmware there are."""
    version, firmware = _version(machine.text(DRIVER_FILE)), _version(machine.text(FIRMWARE_FILE))
    if not version:
        return problem(f"no {DRIVER_FILE}", "install driver and firmware, or mount them into the container")
    found = f"{version}, firmware {firmware or 'unknown'}"
    if _numbers(version) < _numbers(DRIVER):
        return warning(found, f"CANN {CANN} is paired with {DRIVER}.RC1; npu-smi info -t board -i 0 says what fits")
    return ok(found)


def npus(machine: Machine, needs: Needs) -> Finding:
    """Whether there are as many NPUs as processes here, and whether this user may use them."""
    devices, visible = machine.npus(), machine.environment.get("ASCEND_RT_VISIBLE_DEVICES")
    if not devices:
        return problem("no /dev/davinci0", "install the driver, or give the container --device /dev/davinci0 and so on")
    count = min(len(devices), len(visible.split(","))) if visible else len(devices)
    found = f"{count} of {len(devices)}, by ASCEND_RT_VISIBLE_DEVICES" if visible else str(count)
    if count < needs.local_worker_num:
        return problem(f"{found}, for {needs.local_worker_num} processes here", "more machines, or --local_worker_num")
    refused = [path.name for path in devices if not os.access(path, os.R_OK | os.W_OK)]
    if refused:
        return problem(
            f"{found}, but not for this user ({refused[0]})", f"sudo usermod -a -G {GROUP} $USER, log in anew"
        )
    return ok(f"{found}, for {needs.local_worker_num} processes here")


def health(machine: Machine, needs: Needs) -> Finding:
    """What the driver's own tool says."""
    ran = machine.run(("npu-smi", "info"), _NPU_SMI_SECONDS)
    lines = [line for line in ran.text.splitlines() if line.strip()]
    if ran.code == 127:
        return warning("there is no npu-smi", "is the driver installed, and /usr/local/bin on PATH?")
    if ran.code != 0:
        reason = lines[-1].strip() if lines else f"exit code {ran.code}"
        return problem(reason[:200], "npu-smi info shows it in full; often the driver and the firmware do not fit")
    bad = _UNHEALTHY.findall(ran.text)
    if bad:
        return warning(f"{len(bad)} not healthy ({bad[0]})", "npu-smi info shows which; ask for its fault codes")
    return ok("npu-smi info ends well")


def patience(machine: Machine, needs: Needs) -> Finding:
    """Whether NPUs wait for others that compile longer."""
    if needs.worker_num == 1:
        return not_applicable("one process")
    text = machine.environment.get(PATIENCE, str(DEFAULT_SECONDS))
    if not text.isdecimal() or int(text) < BETTER_SECONDS:
        return warning(f"{PATIENCE} is {text} s", f"export {PATIENCE}={BETTER_SECONDS}: some ranks compile longer")
    return ok(f"{PATIENCE} is {text} s")


def device_memory(machine: Machine, needs: Needs) -> Finding:
    """Whether the plan fits into what a process may take of its NPU."""
    if not needs.process_bytes or not needs.device_bytes:
        return not_applicable("no plan; give --config")
    found = f"{needs.process_bytes / GIB:.1f} GiB by the plan, {needs.device_bytes / GIB:.1f} GiB allowed"
    if needs.process_bytes > needs.device_bytes:
        return problem(found, "mindcode plan --search lists the splits that fit")
    return ok(found)


def _cann_folders(machine: Machine) -> list[Path]:
    return [Path(folder.replace("~", machine.environment.get("HOME", "~"))) for folder in CANN_FOLDERS]


def _version(text: str) -> str:
    match = _VERSION.search(text)
    return match.group(1).strip("[]") if match else ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 26.0.RC1 -> (26, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
