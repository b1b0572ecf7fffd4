"""Machines that do not exist, for `mindcode doctor`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mindcode.doctor.machine import Machine, Ran
from mindcode.doctor.packages import MINDSPORE

GB = 10**9
CANN = "/usr/local/Ascend/cann"


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files below `root`."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def machine(
    root: Path,
    environment: Mapping[str, str] | None = None,
    packages: Mapping[str, str] | None = None,
    programs: Mapping[str, Ran] | None = None,
    modules: Sequence[str] = (),
    free: int = 100 * GB,
    nofile: int = 65536,
) -> Machine:
    """A machine with the files below `root`; `programs` answer by their names, all others are not installed."""
    versions = {"mindspore": MINDSPORE, "numpy": "1.26.4"} if packages is None else packages
    answers = programs or {}

    def run(command: Sequence[str], seconds: float) -> Ran:
        return answers.get(Path(command[0]).name.rstrip("0123456789."), Ran(127, "no such file"))

    return Machine(
        root=root,
        environment=environment or {},
        python=(3, 11, 4),
        cores=192,
        run=run,
        package_version=versions.get,
        module_folder=lambda name: root / name if name in modules else None,
        free_bytes=lambda folder: free,
        limits={"nofile": nofile, "nproc": -1},
    )


def atlas(root: Path, npus: int = 8, cann: str = "9.0.0") -> Machine:
    """An Atlas 800T A2 on which everything is installed and set."""
    write(
        root,
        {
            **{f"dev/davinci{number}": "" for number in range(npus)},
            "dev/davinci_manager": "",
            "dev/shm/x": "",
            "proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {1500 * GB // 1024} kB\n",
            "proc/mounts": "/dev/sda / ext4 rw 0 0\nnas:/share /mnt/share nfs4 rw 0 0\n",
            f"{CANN}/share/info/runtime/version.info": f"Version={cann}\n",
            f"{CANN}/set_env.sh": "",
            "usr/local/Ascend/driver/version.info": "Version=26.0.rc1\nascendhal_version=7\n",
            "usr/local/Ascend/firmware/version.info": "Version=7.8.0.2.212\n",
        },
    )
    environment = {
        "ASCEND_HOME_PATH": CANN,
        "ASCEND_OPP_PATH": f"{CANN}/opp",
        "PYTHONPATH": f"{CANN}/python/site-packages:{CANN}/opp/built-in/op_impl/ai_core/tbe",
        "LD_LIBRARY_PATH": f"{CANN}/lib64",
        "HCCL_CONNECT_TIMEOUT": "1800",
    }
    programs = {"npu-smi": Ran(0, "| 0  910B2 | OK | 90.0 |\n"), "python": Ran(0, "product 16.0\n")}
    return machine(root, environment, programs=programs, modules=("te", "hccl"))
