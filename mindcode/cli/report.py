"""One self-contained HTML page from a run folder.

mindcode report --run_dir output/run --output report.html
"""

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    """Write the page and print where it is."""
    arguments = _parser().parse_args(argv)
    from mindcode.evaluation.report.collect import collect
    from mindcode.evaluation.report.page import render
    from mindcode.evaluation.tasks.humaneval import load_problems
    from mindcode.utils.atomic import atomic_open

    problems = {problem.task_id: problem for problem in load_problems(arguments.problem_file)}
    page = render(collect(arguments.run_dir, arguments.samples), problems)
    output = arguments.output or arguments.run_dir / "report.html"
    with atomic_open(output) as stream:
        stream.write(page)
    print(output)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mindcode report", description="One HTML page from a run folder.")
    parser.add_argument("--run_dir", type=Path, required=True, help="a run folder (manifest.json, metrics.jsonl, ...)")
    parser.add_argument("--samples", type=Path, help="a samples file (default: samples.jsonl in the run folder)")
    parser.add_argument("--problem_file", type=Path, help="the problems of the samples (default: HumanEval)")
    parser.add_argument("--output", type=Path, help="the page (default: report.html in the run folder)")
    return parser
