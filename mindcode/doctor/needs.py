"""What a job asks of a machine.

needs_of(config, local_worker_num=8)
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Meeting:
    """Where the processes of a job meet, and which machine this is."""

    master_addr: str
    master_port: int
    node_rank: int | None
    """None: the machine that has the address is number 0."""


@dataclass(frozen=True)
class Needs:
    """Without a configuration: one process that is about to try something."""

    device_target: str = "CPU"
    """CPU or Ascend."""
    engine: str = "mindcode"
    """Who trains: mindcode or mindformers."""
    worker_num: int = 1
    """Processes of the whole job."""
    local_worker_num: int = 1
    """Processes on this machine; with Ascend, each has an NPU."""
    output_dir: Path = Path("output")
    checkpoint_bytes: int = 0
    """What one checkpoint takes, all ranks together; 0 when nobody knows."""
    checkpoints: int = 1
    """How many there are at the most, with the one that is being written."""
    process_bytes: int = 0
    """What one process takes of its NPU's memory by the plan, on a CPU at least; 0 when nobody knows."""
    device_bytes: int = 0
    """What one process may take of an NPU's memory (`max_device_memory`); 0 when nobody knows."""
    meeting: Meeting | None = None

    @property
    def ascend(self) -> bool:
        """Whether the job is for NPUs."""
        return self.device_target == "Ascend"

    @property
    def nodes(self) -> int:
        """Machines of the job."""
        return -(-self.worker_num // self.local_worker_num)
