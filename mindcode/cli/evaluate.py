"""Have a model answer the problems of benchmarks, run its answers against the tests, and print pass@k.

mindcode evaluate --config configs/smollm2/predict_smollm2_135m.yaml --load_checkpoint smollm2.ckpt --task humaneval \
    --allow_code_execution

Generating and scoring are also commands of their own. With --load_generations_path, --samples, --run_dir or
--check_references nothing is generated, and no model is needed.
"""

from typing import TYPE_CHECKING

from mindcode.cli.evaluate_flags import GENERATION_ONLY, SCORE_FLAGS, SOURCE_FLAGS
from mindcode.cli.evaluate_job import make_job, parse_arguments
from mindcode.cli.generate import nothing_more, run_tasks
from mindcode.cli.score import score, score_folder

if TYPE_CHECKING:
    from mindcode.evaluation.runner.evaluation import Evaluation
    from mindcode.evaluation.runner.run_files import RunFolder
    from mindcode.evaluation.runner.score import Outcome

PROG = "mindcode evaluate"


def main(argv: list[str]) -> int:
    """Generate and score; the last line printed is the scores."""
    arguments, rest = parse_arguments(argv, PROG, (*SCORE_FLAGS, GENERATION_ONLY, *SOURCE_FLAGS))
    if arguments.samples or arguments.run_dir or arguments.check_references:
        return score(arguments)
    if arguments.generation_only:
        run_tasks(make_job(arguments, rest, PROG), nothing_more)
        return 0
    from mindcode.cli.evaluate_tasks import demand_consent, finish, score_request

    demand_consent(arguments)
    outcomes: dict[str, Outcome] = {}

    def score_too(evaluation: "Evaluation", folder: "RunFolder") -> None:
        whole = evaluation.task
        if whole.requires_execution:
            outcomes[whole.name] = score_folder(score_request(whole, evaluation.options, arguments), folder)
        else:
            print(f"{whole.name}: nothing to execute; its answers are in {folder.generations(whole.name, 1)}")

    run_tasks(make_job(arguments, rest, PROG), score_too)
    finish(arguments, outcomes)
    return 0
