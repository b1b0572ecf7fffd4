"""Steps and epochs of a run, and the state that moves through them."""

from dataclasses import dataclass

from mindcode.checkpoint.manifest import Position
from mindcode.config.schema import RunnerConfig
from mindcode.training.loss_scale import LossScale
from mindcode.utils.errors import UserError


@dataclass(frozen=True)
class RunLength:
    """How many optimizer steps an epoch and the run have."""

    steps_per_epoch: int
    total_steps: int

    @classmethod
    def of(cls, runner: RunnerConfig, micro_batches_per_epoch: int, micro_batches_per_step: int) -> "RunLength":
        """Compute the length of a run; micro-batches that do not fill the last step of an epoch are left out.

        In sink mode the total is a multiple of sink_size, as in MindFormers. Raises UserError when there is no step.
        """
        steps_per_epoch = micro_batches_per_epoch // micro_batches_per_step
        if steps_per_epoch == 0:
            raise UserError(
                f"train_dataset: {micro_batches_per_epoch} micro-batches do not fill one step of "
                f"{micro_batches_per_step} (gradient_accumulation_steps); use more data or a smaller batch"
            )
        total = steps_per_epoch * runner.epochs
        if runner.sink_mode and total > runner.sink_size:
            total = total // runner.sink_size * runner.sink_size
        if runner.max_steps > 0:
            total = min(total, runner.max_steps)
        return cls(steps_per_epoch, total)

    @property
    def epochs(self) -> int:
        """Epochs that the run touches."""
        return (self.total_steps - 1) // self.steps_per_epoch + 1

    def position(self, finished_steps: int) -> Position:
        """Return the epoch of the last finished step, and its number in that epoch, both from 1."""
        epoch, step = divmod(finished_steps - 1, self.steps_per_epoch)
        return Position(epoch + 1, step + 1)


@dataclass(frozen=True)
class TrainState:
    """Everything that changes from step to step besides tensors."""

    loss_scale: LossScale
    step: int = 0
    """Finished optimizer steps, skipped ones included."""
    updates: int = 0
    """Steps that changed the weights."""

    def after(self, skipped: bool) -> "TrainState":
        """Return the state after one more step."""
        return TrainState(self.loss_scale.after(skipped), self.step + 1, self.updates + (not skipped))
