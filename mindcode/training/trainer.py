"""The training loop: batches in, steps, log lines, measurements and checkpoints out.

    state = fit(run, state)

A `Run` holds the pieces, each built elsewhere; nothing here knows how a step is computed or where rows come from.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mindspore import Parameter

from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.optimizers import AdamRule
from mindcode.config.schema import RunConfig
from mindcode.parallel.agreement import Agreement
from mindcode.runtime.interrupts import deferred_interrupts
from mindcode.training.batches import StepBatches
from mindcode.training.cadence import is_measured
from mindcode.training.companion import Companion
from mindcode.training.evaluate import Evaluator
from mindcode.training.interpreters import HeldOptimizer
from mindcode.training.metrics import RunLog, StepRow
from mindcode.training.optim import step_scalars
from mindcode.training.progress import RunLength, TrainState
from mindcode.training.schedule import Schedule
from mindcode.training.snapshot import Layout, shard_records, state_records
from mindcode.training.step import MicroBatch, Step, StepResult
from mindcode.training.throughput import Meter
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger


@dataclass(frozen=True)
class Run:
    """Everything that a training run is made of."""

    config: RunConfig
    length: RunLength
    rows_per_step: int
    parameters: Sequence[Parameter]
    optimizer: HeldOptimizer
    rule: AdamRule
    schedule: Schedule
    step: Step
    batches: StepBatches
    store: ShardedStore
    layout: Layout
    agreement: Agreement
    """Of all processes."""
    meter: Meter
    log: RunLog
    evaluator: Evaluator | None
    companion: Companion

    @property
    def everything(self) -> list[Parameter]:
        """Weights and optimizer state."""
        return [*self.parameters, *self.optimizer.state]


def fit(run: Run, state: TrainState) -> TrainState:
    """Train from `state` to the end of the run and return the last state.

    Checkpoints are written as configured and at the end, with the weights alone beside the last one. An interrupt of
    any process ends all after the step that is under way, with a checkpoint, as KeyboardInterrupt. Raises UserError
    when the loss stops being a number, on all processes; the checkpoints are as they were.
    """
    get_logger().info("compiling the step (once a start) and running it for the first time")
    with deferred_interrupts() as interrupted:
        complete = _accompany(run, state.step, interrupted)
        if not complete and state.step < run.length.total_steps:
            raise KeyboardInterrupt
        for batches in run.batches.from_step(state.step):
            if state.step >= run.length.total_steps:
                break
            state = _one_step(run, state, batches)
            if run.evaluator and is_measured(run.config, run.length, state.step):
                run.log.evaluation(state.step, run.evaluator.loss(), time.time())
            last, due = state.step == run.length.total_steps, run.companion.is_due(state.step)
            saved = last or due or state.step % run.config.checkpoint.save_checkpoint_steps == 0
            if saved:
                save(run, state)
            complete = _accompany(run, state.step, interrupted)
            run.companion.look()
            if run.agreement.anyone(interrupted()) and not last:
                if not saved:
                    save(run, state)
                run.store.finish()
                raise KeyboardInterrupt
    run.store.finish()
    weights = shard_records(run.parameters, run.layout)
    path = run.store.save_network(weights, run.length.position(state.step), run.agreement.barrier)
    get_logger().info("finished %d steps; weights: %s", state.step, path)
    if not complete:
        raise KeyboardInterrupt
    run.companion.finish()
    return state


def _accompany(run: Run, step: int, interrupted: Callable[[], bool]) -> bool:
    """Let the companion have its turn after a step whose checkpoint it wants; return whether it came to its end."""
    if not run.companion.is_due(step):
        return True
    run.store.finish()
    return run.companion.accompany(step, run.store.manifest(run.length.position(step)), interrupted)


def save(run: Run, state: TrainState) -> Path:
    """Write a checkpoint of the whole state."""
    position = run.length.position(state.step)
    get_logger().info("......Saving ckpt......")
    numbers = list(state_records(state, position, run.rows_per_step))
    return run.store.save(shard_records(run.everything, run.layout), numbers, position, run.agreement.barrier)


def _one_step(run: Run, state: TrainState, batches: Sequence[MicroBatch]) -> TrainState:
    started = time.perf_counter()
    rate = run.schedule(state.step)
    scalars = step_scalars(run.config.optimizer, run.rule, rate, state.updates + 1)
    result = run.step(batches, state.loss_scale.value, scalars)
    seconds = time.perf_counter() - started
    row = StepRow(
        step=state.step + 1,
        epoch=run.length.position(state.step + 1).epoch,
        loss=result.loss,
        lr=rate,
        loss_scale=state.loss_scale.value,
        global_norm=result.global_norm,
        overflow=result.overflow,
        step_seconds=seconds,
        wall_time=time.time(),
        usage=run.meter(seconds),
    )
    run.log.step(row)
    _refuse_to_go_on_without_numbers(run, state, result)
    return state.after(result.overflow)


def _refuse_to_go_on_without_numbers(run: Run, state: TrainState, result: StepResult) -> None:
    """A smaller loss scale may cure an overflow; without one, or with none left, the run is lost."""
    if not result.overflow and math.isfinite(result.loss):
        return
    if run.optimizer.can_skip and result.overflow and state.loss_scale.value > 1.0:
        return
    saved = run.store.saved()
    newest = run.store.folder / saved[-1].name if saved else "none was written yet"
    raise UserError(
        f"step {state.step + 1}: loss {result.loss}, gradient norm {result.global_norm}: training stopped; the last "
        f"checkpoint is intact ({newest}); lower learning_rate or look at the data, and continue with "
        "--resume_training True"
    )
