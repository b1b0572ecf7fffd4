"""BigCodeEvalHarness: benchmarks while a network trains, answered by the training processes, scored beside them.

<output_dir>/bigcode_0/humaneval_100/generations_humaneval_100.json ...      the run folder of what step 100 answered

Each tensor group is one copy of the network, takes its part of the checkpoint of the step, and answers its share of the
problems; the first process puts the shares together and has them scored by a process of its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mindcode.cli.harness_benchmarks import Benchmark
from mindcode.cli.harness_shares import (
    forget_other_shares,
    gather_shares,
    is_complete,
    is_scored,
    own_share,
    remove_shares,
    share_folder,
)
from mindcode.cli.predict_backend import DeferredBackend
from mindcode.cli.predict_model import find_model
from mindcode.cli.predict_team import KeptSteps, Team
from mindcode.cli.score_beside import Beside, Waiting
from mindcode.config.schema import RunConfig
from mindcode.evaluation.runner.evaluation import Evaluation, generate
from mindcode.evaluation.runner.recording import record_generation
from mindcode.evaluation.runner.run_files import RunFolder
from mindcode.evaluation.runner.watched import Until
from mindcode.generation.crew import Crew
from mindcode.parallel.agreement import Agreement
from mindcode.parallel.processes import Processes
from mindcode.runtime.distributed import GroupSum
from mindcode.training.cadence import is_evaluated
from mindcode.training.metrics import RunLog, recorded_scores
from mindcode.training.progress import RunLength
from mindcode.utils.json_file import read_json
from mindcode.utils.log import get_logger


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
                for evaluation in benchmark.evaluations:
                    forget_other_shares(evaluation, benchmark.run_folder(evaluation, step))
                for earlier in benchmark.answered_steps():
                    if earlier < step:  # those of this step are seen to when it is its turn
                        self._begin_scoring(benchmark, earlier)

    def is_due(self, step: int) -> bool:
        """Whether a benchmark is put to the network after this step."""
        return any(self._due(step))

    def accompany(self, step: int, checkpoint: Path, interrupted: Callable[[], bool]) -> bool:
        """Have all benchmarks that are due answered, and the scoring begun; return whether no interrupt prevented it.

        Nobody opens the checkpoint before the first process, which has written its manifest, asks what is left.
        """
        for benchmark in self._due(step):
            left = [e for e in benchmark.evaluations if not self._has(benchmark.run_folder(e, step))]
            if left and not self._answer(benchmark, left, step, checkpoint, interrupted):
                return False
            if self._processes.is_first:
                self._begin_scoring(benchmark, step)
        return True

    def look(self) -> None:
        """Record scores that have come."""
        if self._processes.is_first:
            self._record(timeout=0)

    def finish(self) -> None:
        """Wait for the scores. Raises UserError when some could not be had."""
        if self._processes.is_first:
            self._record(timeout=None)
            self._scoring.check()

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
    ) -> bool:
        started, job = time.monotonic(), benchmark.job
        team = Team(self._crew, checkpoint, self._processes.tensor, self._steps)
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
        if self._agreement.anyone(interrupted()):
            return False
        if self._processes.is_first:
            for evaluation in evaluations:
                self._put_together(benchmark, evaluation, step, backend.identity())
            get_logger().info("training waited %.1f s for the answers", time.monotonic() - started)
        return True

    def _put_together(self, benchmark: Benchmark, evaluation: Evaluation, step: int, model: Mapping[str, str]) -> None:
        folder = benchmark.run_folder(evaluation, step)
        gather_shares(evaluation, folder)
        record_generation(evaluation, model, folder, number=step)
        remove_shares(folder)
        get_logger().info("generations were saved at %s", folder.generations(evaluation.task.name, step))
        if not benchmark.is_scored_here(evaluation):
            get_logger().info("to score them: mindcode score --run_dir %s --allow_code_execution", folder.path)

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
            folder, name = benchmark.run_folder(evaluation, step), benchmark.score_name(evaluation)
            if not is_complete(folder) or not benchmark.is_scored_here(evaluation):
                continue
            if not is_scored(folder):
                self._scoring.add(Waiting(folder.path, name, step, benchmark.harness.n_workers))
            elif (step, name) not in self._recorded:
                self._log_scores(folder, name, step)

    def _record(self, timeout: float | None) -> None:
        while item := self._scoring.finished(timeout):
            self._log_scores(RunFolder(item.folder), item.name, item.step)

    def _log_scores(self, folder: RunFolder, name: str, step: int) -> None:
        shares = read_json(folder.summary)["scores"]["pass_at_k"]
        self._log.scores(step, {f"{name}/{key}": float(value) for key, value in shares.items()}, time.time())
        self._recorded.add((step, name))
