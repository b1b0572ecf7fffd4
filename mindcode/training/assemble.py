"""Puts a training run together from its configuration."""

from pathlib import Path

from mindspore import nn

from mindcode.checkpoint.background import BackgroundStore
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.schema import DatasetConfig, RunConfig
from mindcode.config.sizes import micro_batches_per_step, rows_per_step
from mindcode.data.loader import RowLoader
from mindcode.data.mindrecord import MindRecordReader
from mindcode.model.init import initialize
from mindcode.model.kernels import kernels_for
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss
from mindcode.training.batches import StepBatches
from mindcode.training.evaluate import Evaluator
from mindcode.training.loss_scale import first_loss_scale, needs_loss_scale
from mindcode.training.metrics import RunLog
from mindcode.training.optim import RULES, AdamW
from mindcode.training.progress import RunLength, TrainState
from mindcode.training.schedule import Schedule
from mindcode.training.snapshot import Layout
from mindcode.training.step import LossNetwork, build_step
from mindcode.training.tensorboard import TensorBoardWriter
from mindcode.training.trainer import Run
from mindcode.utils.lookup import lookup


def checkpoint_store(config: RunConfig) -> ShardedStore:
    """Return the store of the run's checkpoints."""
    kind = BackgroundStore if config.checkpoint.async_save else ShardedStore
    return kind(Path(config.output_dir), config.checkpoint.prefix, config.checkpoint.keep_checkpoint_max)


def row_loader(config: RunConfig, dataset: DatasetConfig, reader: MindRecordReader) -> RowLoader:
    """Return micro-batches of a dataset."""
    return RowLoader(
        reader,
        batch_size=micro_batch_rows(config),
        seed=config.seed,
        shuffle=dataset.data_loader.shuffle,
        drop_remainder=dataset.drop_remainder,
        num_samples=dataset.num_samples,
    )


def micro_batch_rows(config: RunConfig) -> int:
    """Rows that go through the model at once."""
    return config.runner_config.batch_size * config.micro_batch_interleave_num


def run_length(config: RunConfig, rows: RowLoader) -> RunLength:
    """Return the steps of the run; the last, incomplete micro-batch of an epoch never trains."""
    whole = rows.num_rows // micro_batch_rows(config)
    return RunLength.of(config.runner_config, whole, micro_batches_per_step(config))


def loss_network(config: RunConfig) -> LossNetwork:
    """Return the model with its loss, with random weights from the seed."""
    sizes = config.model.model_config
    kernels = kernels_for(config.context.device_target, sizes)
    model = LlamaForCausalLM(sizes, kernels)
    initialize(model, config.seed, sizes.init_method_std)
    return LossNetwork(model, CausalLMLoss(sizes, kernels))


def evaluator(config: RunConfig, network: nn.Cell) -> Evaluator:
    """Return what measures the loss on the evaluation rows."""
    dataset = config.eval_dataset
    rows = row_loader(config, dataset, MindRecordReader(Path(dataset.data_loader.dataset_dir)))
    return Evaluator(network, rows, micro_batch_rows(config), dataset.input_columns, config.model.model_config)


def training_run(config: RunConfig, network: LossNetwork, rows: RowLoader, store: ShardedStore) -> Run:
    """Return the run, ready for its first step once the weights are in `network`."""
    length = run_length(config, rows)
    sizes, wrapper = config.model.model_config, config.runner_wrapper
    rule = lookup(RULES, config.optimizer.type, "optimizer.type")
    parameters = network.trainable_params()
    optimizer = AdamW(parameters, config.optimizer, rule, can_skip=needs_loss_scale(sizes))
    micro_batches = micro_batches_per_step(config)
    max_norm = wrapper.max_grad_norm if wrapper.use_clip_grad else None
    peak = config.optimizer.learning_rate
    return Run(
        config=config,
        length=length,
        rows_per_step=rows_per_step(config),
        parameters=parameters,
        optimizer=optimizer,
        rule=rule,
        schedule=Schedule.of(
            config.lr_schedule, config.lr_schedule.learning_rate if peak is None else peak, length.total_steps
        ),
        step=build_step(network, optimizer, micro_batches, max_norm),
        batches=StepBatches(rows, config.train_dataset.input_columns, sizes, micro_batches, length.steps_per_epoch),
        store=store,
        layout=Layout.whole([*parameters, *optimizer.state]),
        barrier=lambda: None,
        log=run_log(config, length),
        evaluator=evaluator(config, network) if config.do_eval else None,
    )


def run_log(config: RunConfig, length: RunLength) -> RunLog:
    """Return what writes step lines, metrics.jsonl and, where configured, curves for TensorBoard."""
    output_dir = Path(config.output_dir)
    curves = TensorBoardWriter(output_dir / "tensorboard") if config.tensorboard else None
    return RunLog(output_dir, length, rows_per_step(config), config.runner_config.sink_size, curves)


def first_state(config: RunConfig) -> TrainState:
    """Return the state before the first step."""
    return TrainState(first_loss_scale(config.runner_wrapper.scale_sense, config.model.model_config))
