"""BigCodeEvalHarness: benchmarks while a network trains, answered by the training processes, scored beside them.

<output_dir>/bigcode_0/humaneval_100/generations_humaneval_100.json ...      the run folder of what step 100 answered

Each tensor group is one copy of the network, takes its part of the checkpoint of the step, and answers its share of the
problems; the first process puts the shares together and has them scored by a process of its own.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.cli.evaluate_job import EvaluateJob
from mindcode.cli.generate import evaluations_of
from mindcode.cli.harness_jobs import Overrides, training_job
from mindcode.cli.harness_shares import gather_shares, is_complete, is_scored, own_share, remove_shares, share_folder
from mindcode.cli.predict_backend import DeferredBackend, check_chat
from mindcode.cli.predict_model import LoadedModel, find_model, find_tokenizer_file, read_blocks
from mindcode.cli.predict_team import Team
from mindcode.cli.score_beside import Beside, Waiting
from mindcode.config.harness import HarnessConfig
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import harness_names
from mindcode.data.tokenizer import load_tokenizer
from mindcode.data.tokenizer_files import find_tokenizer
from mindcode.evaluation.backends.engine import prompt_row
from mindcode.evaluation.runner.evaluation import Evaluation, generate
from mindcode.evaluation.runner.recording import record_generation
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.evaluation.runner.watched import Until
from mindcode.generation.crew import Crew
from mindcode.generation.engine import longest_text
from mindcode.generation.executor import Executor, prefill_lanes
from mindcode.generation.prompts import PromptEncoder
from mindcode.parallel.agreement import Agreement
from mindcode.parallel.processes import Processes
from mindcode.runtime.distributed import Group, GroupSum
from mindcode.training.cadence import is_evaluated
from mindcode.training.metrics import RunLog, recorded_scores
from mindcode.training.progress import RunLength
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json
from mindcode.utils.log import get_logger

if TYPE_CHECKING:
    from mindcode.generation.batch import Steps


@dataclass(frozen=True)
class Benchmark:
    """One callback of the file."""

    harness: HarnessConfig
    job: EvaluateJob
    evaluations: Sequence[Evaluation]
    tokenizer: Path
    folder: Path

    def run_folder(self, evaluation: Evaluation, step: int) -> RunFolder:
        """Return where the answers after `step` are."""
        return RunFolder(self.folder / f"{evaluation.task.name}_{step}".replace("/", "_"))

    def forget_after(self, step: int) -> None:
        """Remove the answers that later steps gave."""
        for folder in self.folder.glob("*"):
            number = folder.name.rpartition("_")[2]
            if number.isdecimal() and int(number) > step:
                shutil.rmtree(folder)

    def lacks(self, step: int) -> bool:
        """Whether answers after `step`, or their scores, are still to come."""
        folders = [(e, self.run_folder(e, step)) for e in self.evaluations]
        return any(not is_complete(f) or (self.is_scored_here(e) and not is_scored(f)) for e, f in folders)

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
    return found


def _tokenizer(harness: HarnessConfig, config: RunConfig) -> Path:
    """Return the callback's tokenizer, the file's, or what lies beside the weights that training begins with."""
    if harness.tokenizer_file_path:
        return find_tokenizer(Path(harness.tokenizer_file_path)).path
    return find_tokenizer_file(config.processor.tokenizer.vocab_file, Path(config.load_checkpoint))


def _check_prompts(benchmark: Benchmark) -> None:
    """Raise UserError now for a prompt that could not be answered later: a chat without a template, a long text."""
    model, template = benchmark.job.config.model.model_config, benchmark.job.arguments.chat_template
    tokenizer, longest = load_tokenizer(benchmark.tokenizer), longest_text(model)
    encoder = PromptEncoder(tokenizer, template)
    for evaluation in benchmark.evaluations:
        prompts = {problem.task_id: evaluation.prompts[problem.task_id] for problem in evaluation.chosen}
        if any(prompt.messages for prompt in prompts.values()):
            asked = f"bigcode_args: tasks: {evaluation.task.name}"
            check_chat(tokenizer, benchmark.tokenizer, template, asked, "another prompt or instruction_tokens")
        for name, prompt in prompts.items():
            tokens = len(encoder.encode(prompt_row(name, prompt)))
            if tokens >= longest:
                raise UserError(
                    f"bigcode_args: {name}: a prompt of {tokens} tokens leaves no room for an answer within {longest}; "
                    "raise max_sequence_length of the callback, or choose other problems with limit"
                )


class TrainingHarness:
    """The companion of a training run that evaluates its checkpoints."""

    def __init__(
        self, config: RunConfig, processes: Processes, asked: Sequence[Benchmark], length: RunLength, log: RunLog
    ) -> None:
        self._config, self._processes, self._length, self._log = config, processes, length, log
        self._asked, self._steps, self._scoring = asked, KeptSteps(), Beside()
        self._crew = Crew(processes.tensor.index, GroupSum(processes.tensor))
        self._agreement = Agreement(processes.everyone)
        self._recorded: set[tuple[int, str]] = set()

    def begin(self, step: int) -> None:
        """Start after `step`: answers to later steps are of weights that are gone; scoring that was cut off goes on."""
        if self._processes.is_first:
            self._recorded = recorded_scores(Path(self._config.output_dir))
            for benchmark in self._asked:
                benchmark.forget_after(step)
                for earlier in range(1, step):
                    self._begin_scoring(benchmark, earlier)

    def is_due(self, step: int) -> bool:
        """Whether a benchmark is put to the network after this step."""
        return any(self._due(step))

    def accompany(self, step: int, checkpoint: Path, interrupted: Callable[[], bool]) -> None:
        """Have all benchmarks that are due answered, and the scoring begun."""
        for benchmark in self._due(step):
            left = [e for e in benchmark.evaluations if not self._has(benchmark.run_folder(e, step))]
            if left:
                self._answer(benchmark, left, step, checkpoint, interrupted)
            if self._processes.is_first:
                self._begin_scoring(benchmark, step)

    def look(self) -> None:
        """Record scores that have come."""
        if self._processes.is_first:
            self._record(timeout=0)

    def finish(self) -> None:
        """Wait for the scores."""
        if self._processes.is_first:
            self._record(timeout=None)

    def _due(self, step: int) -> list[Benchmark]:
        return [b for b in self._asked if is_evaluated(b.harness, self._config, self._length, step)]

    def _has(self, folder: RunFolder) -> bool:
        """Whether all answers are there, as the first process sees it."""
        return self._agreement.anyone(self._processes.is_first and is_complete(folder))

    def _answer(
        self,
        benchmark: Benchmark,
        evaluations: Sequence[Evaluation],
        step: int,
        checkpoint: Path,
        interrupted: Callable[[], bool],
    ) -> None:
        started, job = time.monotonic(), benchmark.job
        team = Team(self._crew, checkpoint, self._processes.tensor, self._steps.make)
        if self._crew.leads:
            backend = DeferredBackend(
                job.config, team, benchmark.tokenizer, job.arguments.chat_template, job.batch_size
            )
            for evaluation in evaluations:
                folder = benchmark.run_folder(evaluation, step)
                self._answer_share(evaluation, Until(backend, interrupted), folder)
            self._crew.dismiss()
        else:
            self._crew.follow(team.build(job.config, find_model(job.config, benchmark.tokenizer, checkpoint)))
        if self._agreement.anyone(interrupted()) or not self._processes.is_first:
            return
        for evaluation in evaluations:
            folder = benchmark.run_folder(evaluation, step)
            gather_shares(evaluation, folder)
            record_generation(evaluation, backend.identity(), folder, number=step)
            remove_shares(folder)
            get_logger().info("generations were saved at %s", folder.generations(evaluation.task.name, step))
            if not benchmark.is_scored_here(evaluation):
                get_logger().info("to score them: mindcode score --run_dir %s --allow_code_execution", folder.path)
        get_logger().info("training waited %.1f s for the answers", time.monotonic() - started)

    def _answer_share(self, evaluation: Evaluation, backend: Until, folder: RunFolder) -> None:
        dims, place = self._processes.dims, self._processes.place
        copies = dims.data_parallel * dims.pipeline_stage
        number = place.stage * dims.data_parallel + place.replica
        share = own_share(evaluation, number, copies)
        if share is not None:
            generate(share, backend, share_folder(folder, number))

    def _begin_scoring(self, benchmark: Benchmark, step: int) -> None:
        """Score the answers after a step that are complete, unless an earlier start did; record what it found."""
        for evaluation in benchmark.evaluations:
            folder, name = benchmark.run_folder(evaluation, step), evaluation.task.name
            if not is_complete(folder) or not benchmark.is_scored_here(evaluation):
                continue
            if not is_scored(folder):
                self._scoring.add(Waiting(folder.path, step, benchmark.harness.n_workers))
            elif (step, name) not in self._recorded:
                self._log_scores(folder, step)

    def _record(self, timeout: float | None) -> None:
        while item := self._scoring.finished(timeout):
            self._log_scores(RunFolder(item.folder), item.step)

    def _log_scores(self, folder: RunFolder, step: int) -> None:
        summary = read_json(folder.summary)
        name, shares = summary["configuration"]["task"]["name"], summary["scores"]["pass_at_k"]
        self._log.scores(step, {f"{name}/{key}": float(value) for key, value in shares.items()}, time.time())
        self._recorded.add((step, name))


class KeptSteps:
    """The steps of the evaluation before, with their graphs, given other weights."""

    def __init__(self) -> None:
        self._kept: Executor | None = None
        self._made_for: tuple[object, ...] = ()

    def make(self, config: RunConfig, loaded: LoadedModel, batch_size: int, group: Group) -> "Steps":
        """Return steps with the weights of `loaded`."""
        blocks = dict(read_blocks(loaded, group.size, group.index))
        wanted = (loaded.model, loaded.cache_length, batch_size)
        if self._kept is not None and self._made_for == wanted:
            self._kept.load(blocks)
            return self._kept
        self._made_for = wanted
        lanes = prefill_lanes(batch_size)
        self._kept = Executor(loaded.model, blocks, batch_size, loaded.cache_length, lanes, group)
        return self._kept
