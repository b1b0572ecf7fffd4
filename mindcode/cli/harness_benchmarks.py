"""What the BigCodeEvalHarness callbacks of a run ask, checked before its first step.

for benchmark in benchmarks(config, file, overrides): ...
"""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from mindcode.cli.evaluate_job import EvaluateJob
from mindcode.cli.generate import evaluations_of
from mindcode.cli.harness_jobs import Overrides, training_job
from mindcode.cli.harness_shares import is_complete
from mindcode.cli.predict_backend import check_chat
from mindcode.cli.predict_model import find_tokenizer_file
from mindcode.config.harness import HarnessConfig
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import harness_names
from mindcode.data.tokenizer import load_tokenizer
from mindcode.data.tokenizer_files import find_tokenizer
from mindcode.evaluation.backends.engine import prompt_row
from mindcode.evaluation.runner.evaluation import Evaluation
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.generation.engine import longest_text
from mindcode.generation.prompts import PromptEncoder
from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class Benchmark:
    """One callback of the file."""

    harness: HarnessConfig
    job: EvaluateJob
    evaluations: Sequence[Evaluation]
    tokenizer: Path
    folder: Path
    prefixed: frozenset[str] = frozenset()
    """Tasks that another callback asks, too."""

    def score_name(self, evaluation: Evaluation) -> str:
        """Return what the scores of a task are called in metrics.jsonl."""
        name = evaluation.task.name
        return f"{self.folder.name}/{name}" if name in self.prefixed else name

    def run_folder(self, evaluation: Evaluation, step: int) -> RunFolder:
        """Return where the answers after `step` are."""
        return RunFolder(self.folder / f"{evaluation.task.name}_{step}".replace("/", "_"))

    def forget_after(self, step: int) -> None:
        """Remove the answers that later steps gave."""
        for answered, folder in list(self._answered()):
            if answered > step:
                shutil.rmtree(folder)

    def answered_steps(self) -> list[int]:
        """Return the steps after which something was answered."""
        return sorted({step for step, _ in self._answered()})

    def _answered(self) -> Iterator[tuple[int, Path]]:
        own = {evaluation.task.name.replace("/", "_") for evaluation in self.evaluations}
        for folder in self.folder.glob("*_*/"):
            task, _, number = folder.name.rpartition("_")
            if task in own and number.isdecimal():
                yield int(number), folder

    def lacks(self, step: int, recorded: Set[tuple[int, str]]) -> bool:
        """Whether answers after `step` are still to come, or their scores among those that are `recorded`."""
        return any(
            not is_complete(self.run_folder(evaluation, step))
            or (self.is_scored_here(evaluation) and (step, self.score_name(evaluation)) not in recorded)
            for evaluation in self.evaluations
        )

    def is_scored_here(self, evaluation: Evaluation) -> bool:
        """Whether answers are executed beside the training."""
        return self.harness.allow_code_execution and evaluation.task.requires_execution


def benchmarks(config: RunConfig, file: Path, overrides: Overrides) -> list[Benchmark]:
    """Return what the callbacks of a run ask. Raises UserError for what cannot be asked, or not here."""
    if config.bigcode_eval_harness and config.context.device_target != "CPU":
        raise UserError(
            "callbacks: BigCodeEvalHarness answers in the training processes, which is built for CPUs; on NPUs remove "
            "it, and evaluate the run's newest checkpoint with mindcode evaluate --load_checkpoint OUTPUT_DIR"
        )
    output = Path(config.output_dir)
    found = []
    for name, harness in zip(harness_names(config), config.bigcode_eval_harness, strict=True):
        job = training_job(harness, file, overrides, output.resolve().name)
        benchmark = Benchmark(harness, job, evaluations_of(job), _tokenizer(harness, config), output / name)
        _check_prompts(benchmark)
        found.append(benchmark)
    names = Counter(evaluation.task.name for benchmark in found for evaluation in benchmark.evaluations)
    return [dataclasses.replace(b, prefixed=frozenset(n for n, count in names.items() if count > 1)) for b in found]


def _tokenizer(harness: HarnessConfig, config: RunConfig) -> Path:
    """Return the callback's tokenizer, the file's, or what lies beside the weights that training begins with."""
    if harness.tokenizer_file_path:
        return find_tokenizer(Path(harness.tokenizer_file_path)).path
    remedy = "set tokenizer_file_path of the BigCodeEvalHarness callback"
    return find_tokenizer_file(config.processor.tokenizer.vocab_file, Path(config.load_checkpoint), remedy)


def _check_prompts(benchmark: Benchmark) -> None:
    """Raise UserError now for a prompt that could not be answered later: a chat without a template, a long text."""
    model, template = benchmark.job.config.model.model_config, benchmark.job.arguments.chat_template
    tokenizer, longest = load_tokenizer(benchmark.tokenizer), longest_text(model)
    encoder = PromptEncoder(tokenizer, template)
    for evaluation in benchmark.evaluations:
        prompts = {problem.task_id: evaluation.prompts[problem.task_id] for problem in evaluation.chosen}
        if evaluation.is_chat:
            asked = f"bigcode_args: tasks: {evaluation.task.name}"
            check_chat(tokenizer, benchmark.tokenizer, template, asked, "another prompt or instruction_tokens")
        for name, prompt in prompts.items():
            tokens = len(encoder.encode(prompt_row(name, prompt)))
            if tokens >= longest:
                raise UserError(
                    f"bigcode_args: {name}: a prompt of {tokens} tokens leaves no room for an answer within {longest}; "
                    "raise max_sequence_length of the callback, or choose other problems with limit"
                )
