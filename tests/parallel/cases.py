"""The splits that are proven, by name; run_case trains one of them on this process' share."""

import numpy as np
from helpers.parallel import ROW_LENGTH, ROWS, STEPS, Case

from mindcode.config.optimizers import RULES
from mindcode.parallel.processes import join_processes
from mindcode.runtime.distributed import World
from mindcode.training.network import loss_network, optimizer_for, step_for
from mindcode.training.optim import step_scalars
from mindcode.training.step import MicroBatch, StepResult

HALF = (2.0**60, 1024.0, 1024.0)
"""Loss scales of float16: the first one overflows."""

CASES = {
    "dp2": Case(dp=2, layers=1),
    "dp2_zero_accumulating": Case(dp=2, zero=True, micro_batches=2),
    "dp2_zero_float16": Case(dp=2, zero=True, layers=1, dtype="float16", loss_scales=HALF),
    "tp2": Case(tp=2, tied=True),
    "tp2_sequence_recompute": Case(tp=2, sequence=True, micro_batches=2, recompute=True),
    "tp2_float16": Case(tp=2, layers=1, dtype="float16", loss_scales=HALF),
    "pp2": Case(pp=2, micro_batches=4),
    "pp2_tied_uneven": Case(pp=2, micro_batches=2, tied=True, layers=3, offset=(0, 1), recompute=True),
    "dp2_tp2_zero_sequence": Case(dp=2, tp=2, zero=True, sequence=True, layers=1),
    "dp2_pp2_tied": Case(dp=2, pp=2, micro_batches=2, tied=True, layers=3, offset=(0, 1)),
    "tp2_pp2_sequence": Case(tp=2, pp=2, micro_batches=4, sequence=True),
    "tp4": Case(tp=4, kv_heads=4, layers=1),
    "pp4": Case(pp=4, micro_batches=4, layers=5, offset=(0, 0, 0, 1)),
    "dp2_tp2_pp2": Case(dp=2, tp=2, pp=2, micro_batches=2, sequence=True, zero=True, tied=True),
}


def rows() -> list[MicroBatch]:
    """The same rows of every step for everyone; as many labels of a row are masked as chance wants, all or none too."""
    generator = np.random.default_rng(5)
    ids = generator.integers(1, 64, (STEPS, ROWS, ROW_LENGTH + 1), dtype=np.int32)
    labels = ids[:, :, 1:].copy()
    masked = generator.integers(0, ROW_LENGTH + 1, (STEPS, ROWS, 1))
    labels[np.arange(ROW_LENGTH) < masked] = -100
    return [MicroBatch(np.ascontiguousarray(ids[step, :, :-1]), labels[step]) for step in range(STEPS)]


def share(batch: MicroBatch, case: Case, replica: int) -> list[MicroBatch]:
    """This replica's micro-batches: of each global one its part, as RowLoader cuts them."""
    cut = [part.reshape(case.micro_batches, case.dp, -1, ROW_LENGTH)[:, replica] for part in batch]
    return [MicroBatch(*map(np.ascontiguousarray, pair)) for pair in zip(*cut, strict=True)]


def run_case(case: Case, world: World) -> dict[str, np.ndarray]:
    """Return losses, norms, overflows, the first gradient (as Adam's first moment) and the weights after all steps."""
    config = case.config
    processes = join_processes(config, world)
    network = loss_network(config, processes)
    optimizer = optimizer_for(config, processes, network)
    step = step_for(config, processes, network, optimizer)
    found: dict[str, np.ndarray] = {}
    results: list[StepResult] = []
    updates = 0
    for batch, loss_scale in zip(rows(), case.loss_scales, strict=True):
        scalars = step_scalars(config.optimizer, RULES[config.optimizer.type], 1e-2, updates + 1)
        results.append(step(share(batch, case, processes.place.replica), loss_scale, scalars))
        updates += not results[-1].overflow
        if updates == 1:
            found = {p.name: p.asnumpy() for p in optimizer.first} | found
    found |= {p.name: p.asnumpy() for p in optimizer.parameters}
    found["losses"] = np.array([result.loss for result in results])
    found["norms"] = np.array([0.0 if result.overflow else result.global_norm for result in results])
    found["overflows"] = np.array([result.overflow for result in results])
    return found
