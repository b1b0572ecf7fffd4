"""mindcode doctor: check a machine before a job does, and say what to fix.

mindcode doctor
mindcode doctor --config configs/codellama/finetune_codellama_34b_16p.yaml --master_addr 10.0.0.1 --node_rank 1

Exit code 0 when no problem was found, 1 when one was, 2 for wrong flags. Warnings do not count.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from mindcode.cli.flags import find_config
from mindcode.cli.numbers import whole_number
from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import NPUS_PER_MACHINE, processes_needed
from mindcode.doctor.checks import CHECKS, examine
from mindcode.doctor.finding import Finding, Status
from mindcode.doctor.machine import Machine, this_machine
from mindcode.doctor.needs import Meeting, Needs
from mindcode.model.stats import num_parameters
from mindcode.planner.memory import device_memory, rank_memory
from mindcode.planner.shapes import BYTES
from mindcode.runtime.cluster import Cluster

_MOMENTS = 8
"""Adam's two moments, bytes for each weight."""


def main(argv: list[str]) -> int:
    """Examine this machine."""
    arguments = _parser().parse_args(argv)
    machine = this_machine()
    needs = _needs(arguments, machine)
    findings = {}
    for name, finding in examine(machine, needs):
        findings[name] = finding
        if not arguments.json:
            print(_line(name, finding), flush=True)
    print(_as_json(findings) if arguments.json else _summary(findings))
    return int(any(finding.status is Status.PROBLEM for finding in findings.values()))


def _line(name: str, finding: Finding) -> str:
    wide = max(map(len, CHECKS)), max(len(status.value) for status in Status)
    return f"{finding.status.value:{wide[1]}}  {name:{wide[0]}}  {finding.found}"


def _summary(findings: Mapping[str, Finding]) -> str:
    """Return how many of each, and what to do about them, problems first."""
    counts = {status: sum(finding.status is status for finding in findings.values()) for status in Status}
    lines = ["", ", ".join(f"{count} {status.value}" for status, count in counts.items())]
    for status in (Status.PROBLEM, Status.WARNING):
        todo = [f"  {name}: {finding.todo}" for name, finding in findings.items() if finding.status is status]
        lines += [f"{_HEADINGS[status]}:", *todo] if todo else []
    return "\n".join(lines)


_HEADINGS = {Status.PROBLEM: "To fix", Status.WARNING: "To look at"}


def _as_json(findings: Mapping[str, Finding]) -> str:
    checks = [{"name": name, **dataclasses.asdict(finding)} for name, finding in findings.items()]
    return json.dumps({"checks": checks}, indent=1, ensure_ascii=False)


def _needs(arguments: argparse.Namespace, machine: Machine) -> Needs:
    """Put flags before configuration, configuration before what the machine suggests."""
    config = load_config(find_config(arguments.config)) if arguments.config else None
    here = "Ascend" if machine.npus() else "CPU"
    target = arguments.device_target or (config.context.device_target if config else here)
    worker_num = arguments.worker_num or (processes_needed(config) if config else 1)
    local = arguments.local_worker_num or max(n for n in range(1, NPUS_PER_MACHINE + 1) if worker_num % n == 0)
    Cluster(worker_num, local, node_rank=arguments.node_rank or 0)  # raises UserError for numbers that do not fit
    meeting = Meeting(arguments.master_addr, arguments.master_port or Cluster.master_port, arguments.node_rank)
    needs = Needs(
        device_target=target,
        worker_num=worker_num,
        local_worker_num=local,
        output_dir=arguments.output_dir or Path(config.output_dir if config else "output"),
        meeting=meeting if arguments.master_addr else None,
    )
    return _with_sizes(needs, config) if config else needs


def _with_sizes(needs: Needs, config: RunConfig) -> Needs:
    """Add what the configuration says of packages, memory and disk."""
    model = config.model.model_config
    ranks = [rank_memory(config, rank) for rank in range(processes_needed(config))]
    most = max(ranks, key=lambda rank: rank.total)
    saved = 0 if config.run_mode == "predict" else num_parameters(model) * (BYTES[model.param_init_type] + _MOMENTS)
    return dataclasses.replace(
        needs,
        engine=config.engine,
        process_bytes=most.total if needs.ascend else most.parameters + most.gradients + most.optimizer_state,
        device_bytes=device_memory(config),
        checkpoint_bytes=saved,
        checkpoints=config.checkpoint.keep_checkpoint_max + 1,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mindcode doctor",
        description="Check a machine before a job does. Exit code 1 when a problem was found.",
        allow_abbrev=False,
    )
    for flag, (kind, metavar, text) in _FLAGS.items():
        parser.add_argument(f"--{flag}", type=kind, metavar=metavar, help=text)
    parser.add_argument("--device_target", choices=("CPU", "Ascend"), help="default: the file's, or what is here")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    return parser


def _port(text: str) -> int:
    number = whole_number(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a port up to 65535")
    return number


def _node(text: str) -> int:
    return 0 if text.strip() == "0" else whole_number(text)


_FLAGS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "config": (str, "FILE", "the job's YAML file: what the job needs is checked"),
    "output_dir": (Path, "FOLDER", "where the job writes (default: the file's, or output)"),
    "worker_num": (whole_number, "N", "processes of the job (default: the file's, or 1)"),
    "local_worker_num": (whole_number, "N", "of these, on this machine (default: up to 8)"),
    "master_addr": (str, "HOST", "where processes meet: can it be reached from here, or be listened at?"),
    "master_port": (_port, "N", "the port there (default: 8118)"),
    "node_rank": (_node, "N", "which machine this is, from 0 (default: 0 if it is HOST)"),
}
"""Type, placeholder and help of each flag."""
