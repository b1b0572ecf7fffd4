"""Have a model answer the problems of benchmarks, run its answers against the tests, and print pass@k.

mindcode evaluate --config configs/smollm2/predict_smollm2_135m.yaml --load_checkpoint smollm2.ckpt --task humaneval \
    --allow_code_execution

Without --task the BigCodeEvalHarness callbacks of the YAML file say what to ask, and of whom: the newest checkpoint of
the run that the file describes.

Generating and scoring are also commands of their own. With --load_generations_path, --samples, --run_dir or
--check_references nothing is generated, and no model is needed.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindcode.cli.evaluate_job import make_job, parse_arguments
from mindcode.cli.generate import nothing_more, run_tasks
from mindcode.cli.harness_jobs import FLAGS, callback_words
from mindcode.cli.score import score, score_folder
from mindcode.utils.errors import UserError

if TYPE_CHECKING:
    from mindcode.evaluation.runner.evaluation import Evaluation
    from mindcode.evaluation.runner.run_files import RunFolder
    from mindcode.evaluation.runner.score import Outcome

PROG = "mindcode evaluate"


def main(argv: list[str]) -> int:
    """Generate and score; the last line printed is the scores."""
    arguments, rest = parse_arguments(argv, PROG, FLAGS)
    if arguments.samples or arguments.run_dir or arguments.check_references:
        if rest:
            raise UserError(f"{rest[0]}: unknown, or without a meaning where nothing is generated")
        return score(arguments)
    outcomes: dict[str, Outcome] = {}
    if arguments.task or not arguments.config:
        _evaluate(arguments, rest, outcomes)
    else:
        for words in callback_words(arguments.config, rest, argv):
            _evaluate(*parse_arguments(words, PROG, FLAGS), outcomes)
    if outcomes:
        from mindcode.cli.evaluate_tasks import finish

        finish(arguments, outcomes)
    return 0


def _evaluate(arguments: argparse.Namespace, rest: Sequence[str], outcomes: "dict[str, Outcome]") -> None:
    """Do what one command line says, and add what came out, by task."""
    job = make_job(arguments, rest, PROG)
    if arguments.generation_only:
        run_tasks(job, nothing_more)
        return
    from mindcode.cli.evaluate_tasks import demand_consent, score_request

    demand_consent(arguments)

    def score_too(evaluation: "Evaluation", folder: "RunFolder") -> None:
        whole = evaluation.task
        if whole.requires_execution:
            name = whole.name if whole.name not in outcomes else folder.path.name
            outcomes[name] = score_folder(score_request(whole, evaluation.options, arguments), folder)
        else:
            print(f"{whole.name}: nothing to execute; its answers are in {folder.generations(whole.name, 1)}")

    run_tasks(job, score_too)
