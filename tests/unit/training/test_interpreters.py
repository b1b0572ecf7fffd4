"""What the training loop gets on several NPUs: weights by blocks, rows for all, numbers that every rank has."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from helpers.training import tiny_model, write_rows
from mindspore import Parameter, Tensor

from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.runs import open_run
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.checkpoint.sharded import ShardedStore
from mindcode.config.schema import (
    ContextConfig,
    ModelSection,
    ParallelConfig,
    ParallelContextConfig,
    ParallelOptimizerConfig,
    RunConfig,
)
from mindcode.data.mindrecord import MindRecordReader
from mindcode.model.init import initial_values
from mindcode.model.stats import parameter_shapes
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.explicit import block_of
from mindcode.parallel.plan import blocks_on
from mindcode.parallel.processes import join_processes
from mindcode.runtime.distributed import SINGLE, World
from mindcode.training.assemble import row_loader
from mindcode.training.interpreters import NpuStep, StageOptimizer, draw_block
from mindcode.training.optim import Scalars
from mindcode.training.step import MicroBatch

MODEL = replace(tiny_model(), vocab_size=36)
CONFIG = RunConfig(
    use_parallel=True,
    context=ContextConfig(device_target="Ascend"),
    model=ModelSection(model_config=MODEL),
    parallel_config=ParallelConfig(data_parallel=2, model_parallel=2, pipeline_stage=2, micro_batch_num=2),
    parallel=ParallelContextConfig(parallel_optimizer_config=ParallelOptimizerConfig(parallel_optimizer_threshold=0)),
)
WORLD = ParallelDims.of(CONFIG).world_size
SCALARS = Scalars(1e-3, 1.0, 0.9, 0.95, 1e-8)


def test_random_weights_are_those_of_one_process() -> None:
    for rank in range(WORLD):
        for name, placement in blocks_on(CONFIG, rank).items():
            parameter = Parameter(Tensor(np.full(placement.shape, 9.0, np.float32)), name=name)
            draw_block(parameter, placement, CONFIG)
            whole = initial_values(name, placement.global_shape, CONFIG.seed, MODEL.init_method_std)
            np.testing.assert_array_equal(parameter.asnumpy(), block_of(whole, placement))


def test_weights_that_replicas_share_come_back_whole_from_a_checkpoint(tmp_path: Path) -> None:
    shapes = parameter_shapes(MODEL)
    whole = {name: np.random.default_rng(0).standard_normal(shape, np.float32) for name, shape in shapes.items()}
    for rank in reversed(range(WORLD)):  # the first one joins what the others wrote
        records = [
            ShardRecord(name, "Float32", placement, lambda n=name, p=placement: block_of(whole[n], p))  # type: ignore[misc]
            for name, placement in blocks_on(CONFIG, rank).items()
        ]
        store = ShardedStore(tmp_path, "run", keep=1, rank=rank, dims=ParallelDims.of(CONFIG))
        path = store.save(records, [], Position(1, 1), barrier=lambda: None)
    checkpoint = open_run(path)
    for rank in range(WORLD):
        for name, block in checkpoint.read(blocks_on(CONFIG, rank)):
            np.testing.assert_array_equal(block, block_of(whole[name], blocks_on(CONFIG, rank)[name]))


def test_fp32_copies_follow_the_weights() -> None:
    weight = Parameter(Tensor([1.5, 2.5], ms.float16), name="lm_head.weight")
    state = [Parameter(Tensor([0.0, 0.0]), name=f"{kind}.lm_head.weight") for kind in ("adam_m", "adam_master")]
    training = SimpleNamespace(weights=(weight,), state=tuple(state), optimizer=SimpleNamespace(can_skip=True))
    StageOptimizer(training).refresh_copies()
    assert [p.asnumpy().tolist() for p in state] == [[0.0, 0.0], [1.5, 2.5]]


def test_every_process_reads_the_rows_of_all(tmp_path: Path) -> None:
    reader = MindRecordReader(write_rows(tmp_path, 8, MODEL.seq_length + 1, MODEL.vocab_size))
    batches = []
    for rank in (0, 2, 7):
        processes = join_processes(CONFIG, World(rank, WORLD))
        rows = row_loader(CONFIG, processes, CONFIG.train_dataset, reader)
        batches.append(next(rows.batches(0)).input_ids)
    assert batches[0].shape == (2, MODEL.seq_length + 1)  # a row for each replica
    assert all(np.array_equal(batches[0], other) for other in batches)


class RecordedStep:
    """In the place of the compiled step: only the last stage has the loss."""

    def __init__(self, loss: float) -> None:
        self.loss = loss

    def __call__(
        self, input_ids: np.ndarray, labels: np.ndarray, loss_scale: float, scalars: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        self.input_ids, self.labels, self.loss_scale = input_ids, labels, loss_scale
        return Tensor(self.loss, ms.float32), Tensor(3.0, ms.float32), Tensor(True)


def test_micro_batches_are_one_after_another_and_the_loss_is_the_last_stages() -> None:
    batches = [MicroBatch(np.full((2, 3), index), np.full((2, 3), 10 + index)) for index in range(2)]
    total = 0.0
    for rank in range(WORLD):
        processes = replace(join_processes(CONFIG, World(rank, WORLD)), everyone=SINGLE)
        recorded = RecordedStep(5.0 if processes.is_last_stage else float("nan"))
        result = NpuStep(recorded, processes)(batches, 8.0, SCALARS)
        total += result.loss
        assert recorded.input_ids[:, 0].tolist() == [0, 0, 1, 1]
        assert recorded.labels[:, 0].tolist() == [10, 10, 11, 11]
        assert (result.global_norm, result.overflow, recorded.loss_scale) == (3.0, False, 8.0)
    # what the ranks contribute adds up to the loss that one of them computed
    assert total == pytest.approx(5.0)
