"""After which steps something is measured: the loss on the evaluation rows, and benchmarks."""

from mindcode.config.harness import HarnessConfig
from mindcode.config.schema import RunConfig
from mindcode.training.progress import RunLength


def is_measured(config: RunConfig, length: RunLength, step: int) -> bool:
    """Whether the loss on the evaluation rows is measured after `step`: by step, by epoch, and at the end."""
    by_step = config.eval_step_interval > 0 and step % config.eval_step_interval == 0
    epoch_steps = config.eval_epoch_interval * length.steps_per_epoch
    by_epoch = epoch_steps > 0 and step % epoch_steps == 0
    return by_step or by_epoch or step == length.total_steps


def is_evaluated(harness: HarnessConfig, config: RunConfig, length: RunLength, step: int) -> bool:
    """Whether a benchmark is put to the network after `step`: by step, by measurement of the loss, and at the end."""
    if step == length.total_steps:
        return True
    if step < 1:
        return False
    by_step = harness.every_n_steps > 0 and step % harness.every_n_steps == 0
    return by_step or (_with_the_loss(harness, config) and _follows_a_measurement(harness, config, length, step))


def _with_the_loss(harness: HarnessConfig, config: RunConfig) -> bool:
    return config.do_eval and harness.every_n_vals > 0


def _follows_a_measurement(harness: HarnessConfig, config: RunConfig, length: RunLength, step: int) -> bool:
    if not is_measured(config, length, step):
        return False
    count = sum(is_measured(config, length, earlier) for earlier in range(1, step + 1))
    return count % harness.every_n_vals == 0
