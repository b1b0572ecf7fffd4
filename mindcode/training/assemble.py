"""Puts a training run together from its configuration, as one of its processes takes part in it."""

from pathlib import Path

from mindcode.checkpoint.background import BackgroundStore
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.optimizers import RULES
from mindcode.config.schema import DatasetConfig, RunConfig
from mindcode.config.sizes import micro_batches_per_step, rows_per_step
from mindcode.data.loader import RowLoader
from mindcode.data.mindrecord import MindRecordReader
from mindcode.parallel.agreement import Agreement
from mindcode.parallel.processes import Processes
from mindcode.runtime.memory import peak_memory_bytes
from mindcode.training.batches import StepBatches, check_first
from mindcode.training.companion import Nobody
from mindcode.training.evaluate import Evaluator
from mindcode.training.interpreters import Share
from mindcode.training.loss_scale import first_loss_scale
from mindcode.training.metrics import RunLog
from mindcode.training.network import EvaluationLoss
from mindcode.training.progress import RunLength, TrainState
from mindcode.training.schedule import Schedule
from mindcode.training.split import OverReplicas
from mindcode.training.tensorboard import TensorBoardWriter
from mindcode.training.throughput import Largest, Meter, yardstick
from mindcode.training.trainer import Run
from mindcode.utils.lookup import lookup


def checkpoint_store(config: RunConfig, processes: Processes) -> ShardedStore:
    """Return the store of the run's checkpoints."""
    kind = BackgroundStore if config.checkpoint.async_save else ShardedStore
    rank, dims, checkpoint = processes.world.rank, processes.dims, config.checkpoint
    return kind(Path(config.output_dir), checkpoint.prefix, checkpoint.keep_checkpoint_max, rank, dims)


def row_loader(config: RunConfig, processes: Processes, dataset: DatasetConfig, reader: MindRecordReader) -> RowLoader:
    """Return what this process reads of a dataset, by micro-batches; UserError when its rows do not fit the model."""
    loader = RowLoader(
        reader,
        batch_size=micro_batch_rows(config, processes),
        seed=config.seed,
        shuffle=dataset.data_loader.shuffle,
        drop_remainder=dataset.drop_remainder,
        num_samples=dataset.num_samples,
        rank=processes.rows_part,
        world=processes.rows_parts,
    )
    check_first(loader, dataset.input_columns, config.model.model_config)
    return loader


def micro_batch_rows(config: RunConfig, processes: Processes) -> int:
    """Rows of a micro-batch that this process reads: those of one copy of the model, or of all."""
    copies = processes.dims.data_parallel // processes.rows_parts
    return copies * config.runner_config.batch_size * config.micro_batch_interleave_num


def run_length(config: RunConfig, rows: RowLoader) -> RunLength:
    """Return the steps of the run; the last, incomplete micro-batch of an epoch never trains."""
    micro_batches = micro_batches_per_step(config)
    whole = rows.num_rows // (rows_per_step(config) // micro_batches)
    return RunLength.of(config.runner_config, whole, micro_batches)


def evaluator(config: RunConfig, processes: Processes, loss: EvaluationLoss) -> Evaluator:
    """Return what measures the loss on the evaluation rows."""
    dataset, model = config.eval_dataset, config.model.model_config
    rows = row_loader(config, processes, dataset, MindRecordReader(Path(dataset.data_loader.dataset_dir)))
    size = micro_batch_rows(config, processes)
    return Evaluator(loss, OverReplicas(processes), rows, size, dataset.input_columns, model)


def training_run(
    config: RunConfig,
    processes: Processes,
    share: Share,
    rows: RowLoader,
    store: ShardedStore,
    agreement: Agreement,
) -> Run:
    """Return the run, ready for its first step once `share` has its weights."""
    length, micro_batches = run_length(config, rows), micro_batches_per_step(config)
    sizes, columns = config.model.model_config, config.train_dataset.input_columns
    optimizer, meter = share.optimizer, meter_of(config, processes)
    peak = config.optimizer.learning_rate
    return Run(
        config=config,
        length=length,
        rows_per_step=rows_per_step(config),
        parameters=optimizer.parameters,
        optimizer=optimizer,
        rule=lookup(RULES, config.optimizer.type, "optimizer.type"),
        schedule=Schedule.of(
            config.lr_schedule, config.lr_schedule.learning_rate if peak is None else peak, length.total_steps
        ),
        step=share.step,
        batches=StepBatches(rows, columns, sizes, micro_batches, length.steps_per_epoch),
        store=store,
        layout=share.layout,
        agreement=agreement,
        meter=meter,
        log=run_log(config, processes, length, meter.rows_per_process),
        evaluator=evaluator(config, processes, loss) if config.do_eval and (loss := share.evaluation_loss) else None,
        companion=Nobody(),
    )


def meter_of(config: RunConfig, processes: Processes) -> Meter:
    """Return what turns the time of a step into tokens/s, MFU and memory; measures the device where that is needed."""
    everyone, device = processes.everyone, config.context.device_target
    return Meter(config, yardstick(config, everyone), Largest(everyone, lambda: peak_memory_bytes(device)))


def run_log(config: RunConfig, processes: Processes, length: RunLength, rows_per_process: float) -> RunLog:
    """Return what writes step lines and, on the first process, metrics.jsonl and TensorBoard's curves if wanted."""
    output_dir = Path(config.output_dir) if processes.is_first else None
    curves = TensorBoardWriter(output_dir / "tensorboard") if output_dir and config.tensorboard else None
    return RunLog(output_dir, length, rows_per_process, config.runner_config.sink_size, curves)


def first_state(config: RunConfig) -> TrainState:
    """Return the state before the first step."""
    return TrainState(first_loss_scale(config.runner_wrapper.scale_sense, config.model.model_config))
