"""An estimate of training speed: work over what an NPU can do, traffic over its links, the pipeline's idle time.

    estimate(config).tokens_per_second       # of one NPU

Compute and traffic are taken one after the other at the hardware's nominal speeds, and the machine is then assumed to
reach the same share of all of them. That share is the one number fitted here: to the two speeds published for
fine-tuning Code Llama 34B on Atlas 900 A2 PoDc (MindFormers' model card), so that it misses both by equally much.
"""

from dataclasses import dataclass

from mindcode.config.schema import RunConfig
from mindcode.config.sizes import micro_batches_per_step, processes_needed, rows_per_step
from mindcode.model.stats import head_flops_per_token, layer_flops_per_token
from mindcode.parallel.dims import Coordinates, ParallelDims
from mindcode.planner.activations import Recompute, kept_by_layer, recompute_of_layers
from mindcode.planner.layout import layers_of_stages, machine_of
from mindcode.planner.shapes import Sizes
from mindcode.planner.traffic import Message, stage_traffic

PEAK_FLOPS = 376e12
"""Nominal, of one NPU in half precision."""
LINKS = 196e9
"""Nominal bytes a second that one NPU sends to others of its machine."""
NETWORK = 25e9
"""Nominal bytes a second that one NPU sends to other machines: one port of 200 Gbit/s."""
MEMORY = 1.6e12
"""Nominal bytes a second of one NPU's memory, through which cheap operations that are computed again pass twice."""

PASSES = dict.fromkeys(Recompute, 3) | {Recompute.ALL_BUT_MESSAGES: 4, Recompute.ALL: 4}
"""How often the work of a layer's forward pass is done: backward takes twice as much."""

SHARE = 0.5245
"""Of the nominal speeds; see the fit in tests/unit/planner/test_speed.py."""


@dataclass(frozen=True)
class Published:
    """A measured speed."""

    config: str
    """The YAML file under configs/codellama."""
    devices: int
    tokens_per_second: float
    """Of one NPU."""
    estimated: float
    """What estimate() says of the same file; a test holds it to that."""

    @property
    def error(self) -> float:
        """How far the estimate is off, as a share of the measured speed."""
        return self.estimated / self.tokens_per_second - 1


PUBLISHED = (
    Published("finetune_codellama_34b_16p.yaml", 16, 669.0, 656.7),
    Published("finetune_codellama_34b_32p.yaml", 32, 747.0, 760.7),
)


@dataclass(frozen=True)
class Estimate:
    """Seconds of one optimizer step, and what follows from them."""

    step_seconds: float
    tokens_per_second: float
    """Of one NPU."""


def estimate(config: RunConfig) -> Estimate:
    """Return the estimate for a training run on NPUs."""
    seconds = nominal_step_seconds(config) / SHARE
    tokens = rows_per_step(config) * config.model.model_config.seq_length
    return Estimate(seconds, tokens / seconds / processes_needed(config))


def nominal_step_seconds(config: RunConfig) -> float:
    """Return how long a step would take at nominal speeds: fill the pipeline, keep its slowest stage busy, update."""
    micro_batches = micro_batches_per_step(config)
    stages = [_seconds(config, stage) for stage in range(ParallelDims.of(config).pipeline_stage)]
    slowest, fill = max(stage.micro_batch for stage in stages), sum(stage.micro_batch for stage in stages)
    return fill + (micro_batches - 1) * slowest + max(stage.update for stage in stages)


@dataclass(frozen=True)
class _Seconds:
    micro_batch: float
    """Forward and backward of one."""
    update: float
    """What happens once a step."""


def _seconds(config: RunConfig, stage: int) -> _Seconds:
    seconds = {"micro-batch": 0.0, "step": 0.0}
    for message in stage_traffic(config, stage):
        seconds[message.every] += _transfer(config, stage, message)
    return _Seconds(_work(config, stage) + seconds["micro-batch"] / micro_batches_per_step(config), seconds["step"])


def _transfer(config: RunConfig, stage: int, message: Message) -> float:
    """Links work both ways at once: what is received takes no time of its own."""
    dims = ParallelDims.of(config)
    machines = {machine_of(rank) for rank in (dims.rank(Coordinates(stage, 0, 0)), *message.group)}
    return 0.0 if message.kind == "Receive" else message.sent_bytes / (LINKS if len(machines) == 1 else NETWORK)


def _work(config: RunConfig, stage: int) -> float:
    """Seconds of one NPU for a micro-batch: forward, twice as much backward, and what is computed again."""
    sizes, model, own = Sizes.of(config), config.model.model_config, layers_of_stages(config)[stage]
    choices = recompute_of_layers(config)
    passes = sum(PASSES[choices[layer]] for layer in own)
    flops = passes * layer_flops_per_token(model, model.seq_length)
    if stage == ParallelDims.of(config).pipeline_stage - 1:
        flops += 3 * head_flops_per_token(model)
    norms = sum(choices[layer] in (Recompute.NORMS, Recompute.NORMS_BUT_MESSAGES) for layer in own)
    passed = 2 * norms * (kept_by_layer(sizes, Recompute.LITTLE) - kept_by_layer(sizes, Recompute.NORMS))
    return flops * sizes.tokens / sizes.parts / PEAK_FLOPS + passed / MEMORY
