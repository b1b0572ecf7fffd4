"""The splits that are proven, by name; run_case trains one of them on this process' share."""

import numpy as np
from helpers.parallel import ROW_LENGTH, ROWS, STEPS, Case

from mindcode.parallel.processes import Processes, join_processes
from mindcode.runtime.distributed import World
from mindcode.training.network import loss_network, optimizer_for, step_for
from mindcode.training.optim import RULES, step_scalars
from mindcode.training.step import MicroBatch

CASES = {
    "dp2": Case(dp=2),
    "dp2_accumulating": Case(dp=2, micro_batches=2),
    "tp2": Case(tp=2),
    "tp2_tied": Case(tp=2, tied=True, kv_heads=4),
    "tp2_sequence": Case(tp=2, sequence=True, micro_batches=2),
    "pp2": Case(pp=2, micro_batches=4),
    "pp2_tied_uneven": Case(pp=2, micro_batches=2, tied=True, layers=3, offset=(0, 1)),
    "dp2_zero": Case(dp=2, zero=True),
    "dp2_tp2": Case(dp=2, tp=2),
    "dp2_tp2_zero": Case(dp=2, tp=2, zero=True, sequence=True),
    "dp2_pp2": Case(dp=2, pp=2, micro_batches=2, tied=True),
    "tp2_pp2_sequence": Case(tp=2, pp=2, micro_batches=2, sequence=True),
    "tp4": Case(tp=4, kv_heads=4),
    "pp4": Case(pp=4, micro_batches=4, layers=4),
    "dp4": Case(dp=4),
    "dp2_tp2_pp2": Case(dp=2, tp=2, pp=2, micro_batches=2, sequence=True, zero=True, tied=True),
}


def rows() -> list[MicroBatch]:
    """The same rows of every step for everyone; equally many labels are masked in each row."""
    generator = np.random.default_rng(5)
    ids = generator.integers(1, 64, (STEPS, ROWS, ROW_LENGTH + 1), dtype=np.int32)
    labels = ids[:, :, 1:].copy()
    labels[:, :, :3] = -100
    return [MicroBatch(np.ascontiguousarray(ids[step, :, :-1]), labels[step]) for step in range(STEPS)]


def share(batch: MicroBatch, case: Case, replica: int) -> list[MicroBatch]:
    """This replica's micro-batches: of each global one its part, as RowLoader cuts them."""
    cut = [part.reshape(case.micro_batches, case.dp, -1, ROW_LENGTH)[:, replica] for part in batch]
    return [MicroBatch(*map(np.ascontiguousarray, pair)) for pair in zip(*cut, strict=True)]


def run_case(case: Case, world: World) -> dict[str, np.ndarray]:
    """Return losses, norms, the first gradient (as Adam's first moment) and the weights after all steps."""
    config = case.config
    processes: Processes = join_processes(config, world)
    network = loss_network(config, processes)
    optimizer = optimizer_for(config, processes, network)
    step = step_for(config, processes, network, optimizer)
    found: dict[str, np.ndarray] = {}
    results = []
    for number, batch in enumerate(rows()):
        scalars = step_scalars(config.optimizer, RULES[config.optimizer.type], 1e-2, number + 1)
        results.append(step(share(batch, case, processes.place.replica), 1.0, scalars))
        if number == 0:
            found |= {p.name: p.asnumpy() for p in optimizer.first}
    found |= {p.name: p.asnumpy() for p in optimizer.parameters}
    found["losses"] = np.array([result.loss for result in results])
    found["norms"] = np.array([result.global_norm for result in results])
    return found
