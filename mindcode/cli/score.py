"""Run generated code against its tests and print pass@k.

mindcode score --samples output/samples.jsonl --allow_code_execution
"""

import argparse
import math
from pathlib import Path

from mindcode.cli.numbers import whole_number
from mindcode.utils.errors import UserError

_CONSENT = (
    "scoring runs code that a model wrote: it is locked in (no privileges, no child processes, limits on time, memory "
    "and files) but this is no virtual machine; say --allow_code_execution if you agree"
)


def main(argv: list[str]) -> int:
    """Score a samples file; the last line printed is the scores."""
    arguments = _parser().parse_args(argv)
    if not arguments.allow_code_execution:
        raise UserError(_CONSENT)
    from mindcode.evaluation.execution.limits import Limits
    from mindcode.evaluation.execution.score_file import ScoreRequest, results_path, score_file, summary_path
    from mindcode.evaluation.tasks.humaneval import load_problems

    problems = load_problems(arguments.problem_file)
    results = arguments.output or results_path(arguments.samples)
    request = ScoreRequest(
        samples=arguments.samples,
        results=results,
        ks=arguments.k,
        limits=Limits(cpu_seconds=arguments.timeout),
        workers=arguments.n_workers,
        ignore_incomplete=arguments.ignore_incomplete,
    )
    score = score_file({problem.task_id: problem for problem in problems}, request)
    print(f"{score.passed} of {score.samples} samples passed, {len(score.problems)} problems, {score.seconds:.1f} s")
    print(f"results: {results}")
    print(f"summary: {summary_path(results)}")
    print(_score_line(score.pass_at_k) or f"no pass@k: fewer samples than {min(request.ks)} for some problems")
    return 0


def _score_line(pass_at_k: dict[int, float]) -> str:
    return " ".join(f"pass@{k}: {value:.4f}" for k, value in pass_at_k.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mindcode score", description="Run generated code against its tests.")
    parser.add_argument("--samples", type=Path, required=True, help='JSONL: {"task_id": ..., "completion": ...}')
    parser.add_argument("--allow_code_execution", action="store_true", help="needed: generated code will be executed")
    parser.add_argument("--task", choices=("humaneval",), default="humaneval", help="the kind of problems")
    parser.add_argument("--problem_file", type=Path, help="other problems in HumanEval's format (default: HumanEval)")
    parser.add_argument(
        "--k", type=_sample_counts, default=(1, 10, 100), metavar="K,K", help="values of k for pass@k: 1,10,100"
    )
    parser.add_argument(
        "--timeout", type=_seconds, default=3.0, metavar="SECONDS", help="processor seconds for one sample (default 3)"
    )
    parser.add_argument("--n_workers", type=whole_number, metavar="N", help="judging processes (default: one per core)")
    parser.add_argument("--ignore_incomplete", action="store_true", help="accept problems without a sample")
    parser.add_argument("--output", type=Path, help="where results go (default: <samples>_results.jsonl)")
    return parser


def _sample_counts(text: str) -> tuple[int, ...]:
    return tuple(whole_number(part) for part in text.split(","))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 3600:
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds above 0 and below 3600")
    return seconds
