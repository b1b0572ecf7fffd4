"""One self-contained HTML page from a run folder, or from two that it compares.

mindcode report output/run
mindcode report output/smollm2_humaneval_a1b2c3 output/codellama_humaneval_d4e5f6
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.evaluation.report.collect import RunRecord
    from mindcode.evaluation.types import Problem


def main(argv: list[str]) -> int:
    """Write the page and print where it is."""
    arguments = _parser().parse_args(argv)
    from mindcode.evaluation.report.collect import collect
    from mindcode.evaluation.report.page import render, render_comparison
    from mindcode.utils.atomic import atomic_open

    folders = _folders(arguments)
    records = [collect(folder, arguments.samples) for folder in folders]
    problems = {problem.task_id: problem for problem in _problems(arguments.problem_file, records)}
    first, *others = records
    page = render_comparison(first, others[0], problems) if others else render(first, problems)
    output = arguments.output or folders[-1] / ("comparison.html" if others else "report.html")
    with atomic_open(output) as stream:
        stream.write(page)
    print(output)
    return 0


def _folders(arguments: argparse.Namespace) -> list[Path]:
    """Return the one or two run folders. Raises UserError for another number, and for samples of two runs."""
    folders = [*arguments.runs, *([arguments.run_dir] if arguments.run_dir else [])]
    if len(folders) not in (1, 2):
        raise UserError(f"mindcode report: {len(folders)} run folders given; give one, or two to compare")
    if arguments.samples and len(folders) == 2:
        raise UserError(f"--samples {arguments.samples}: belongs to one run; leave it out to compare two")
    return folders


def _problems(file: Path | None, records: "Sequence[RunRecord]") -> "Sequence[Problem]":
    """Return the problems whose prompts the run folders lack: those of the file, of the runs' task, or HumanEval."""
    from mindcode.evaluation.runner.run_files import recorded_task
    from mindcode.evaluation.tasks.humaneval import load_problems
    from mindcode.evaluation.tasks.registry import task
    from mindcode.evaluation.tasks.task import TaskOptions

    lacking = [record for record in records if record.answers.keys() - record.asked.keys()]
    if file or not lacking:
        return load_problems(file) if file else ()
    name, made_with = recorded_task(lacking[0].summary)
    return task(name, TaskOptions(**made_with)).problems if name else load_problems()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mindcode report", description="One HTML page from a run folder, or from two that it compares."
    )
    parser.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="a run folder; two are compared")
    parser.add_argument("--run_dir", type=Path, help="a run folder (the same as RUN)")
    parser.add_argument("--samples", type=Path, help="a samples file (default: samples.jsonl in the run folder)")
    parser.add_argument("--problem_file", type=Path, help="the problems of the samples (default: the task's)")
    parser.add_argument("--output", type=Path, help="the page (default: in the run folder, the second of two)")
    return parser
