"""Parameters and training state to checkpoint records and back, with every name and shape accounted for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor

from mindcode.checkpoint.ckpt_file import CkptEntry, TensorRecord, read_ckpt, scan_ckpt
from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.store import Position
from mindcode.training.optim import FIRST, MASTER, SECOND
from mindcode.training.progress import TrainState
from mindcode.utils.errors import UserError

OPTIMIZER_PREFIXES = (f"{FIRST}.", f"{SECOND}.", f"{MASTER}.")
STATE_NAMES = (
    "scale_sense",
    "loss_scale",
    "clean_steps",
    "global_step",
    "update_step",
    "epoch_num",
    "step_num",
    "global_batch_size",
)


def parameter_records(parameters: Iterable[Parameter]) -> Iterator[TensorRecord]:
    """Yield parameters one at a time."""
    for parameter in parameters:
        dtype, array = str(parameter.dtype), parameter.asnumpy()
        yield TensorRecord(parameter.name, dtype, array.view(np.uint16) if dtype == "BFloat16" else array)


def total_bytes(parameters: Iterable[Parameter]) -> int:
    """Bytes of all parameters together."""
    return sum(parameter.nbytes for parameter in parameters)


def state_records(state: TrainState, position: Position, rows_per_step: int) -> Iterator[TensorRecord]:
    """Yield the numbers that continue a run, under MindFormers' names where it has them."""
    scale = state.loss_scale
    for name in ("scale_sense", "loss_scale"):
        yield TensorRecord(name, "Float32", np.array(scale.value, np.float32))
    whole = {
        "clean_steps": scale.clean_steps,
        "global_step": state.step,
        "update_step": state.updates,
        "epoch_num": position.epoch,
        "step_num": position.step,
        "global_batch_size": rows_per_step,
    }
    for name, number in whole.items():
        yield TensorRecord(name, "Int32", np.array(number, np.int32))


def load_weights(path: Path, parameters: Sequence[Parameter]) -> None:
    """Set `parameters` from a .ckpt file in any format of floats; an optimizer's state in it is passed over.

    Raises UserError unless the file's weights are exactly these parameters, by name and shape.
    """
    entries = [entry for entry in scan_ckpt(path) if not _is_state(entry.name)]
    _check(path, entries, parameters)
    _fill(path, {parameter.name: parameter for parameter in parameters})


def load_run(path: Path, parameters: Sequence[Parameter], state: TrainState, rows_per_step: int) -> TrainState:
    """Set weights and optimizer state from a checkpoint of a run, and return where it was.

    `state` gives the rule of the loss scale. Raises UserError when the file is not the state of such a run.
    """
    entries = [entry for entry in scan_ckpt(path) if entry.name not in STATE_NAMES]
    if not any(entry.name.startswith(OPTIMIZER_PREFIXES) for entry in entries):
        raise UserError(f"{path}: holds weights only; resume from a file in checkpoint/, or use it as load_checkpoint")
    _check(path, entries, parameters)
    numbers = _fill(path, {parameter.name: parameter for parameter in parameters})
    missing = [name for name in STATE_NAMES if name not in numbers]
    if missing:
        raise UserError(f"{path}: holds no {', '.join(missing)}; it was not written by mindcode train")
    if int(numbers["global_batch_size"]) != rows_per_step:
        raise UserError(
            f"{path}: was trained with {int(numbers['global_batch_size'])} rows a step, now "
            f"{rows_per_step}; restore batch_size and gradient_accumulation_steps to continue it"
        )
    scale = replace(state.loss_scale, value=numbers["loss_scale"], clean_steps=int(numbers["clean_steps"]))
    return TrainState(scale, int(numbers["global_step"]), int(numbers["update_step"]))


def finished_steps(path: Path) -> int:
    """Return how many steps a checkpoint of a run has behind it, without reading its tensors."""
    for record in read_ckpt(path):
        if record.name == "global_step":
            return int(record.array)
    raise UserError(f"{path}: holds no global_step; it was not written by mindcode train")


def _is_state(name: str) -> bool:
    return name in STATE_NAMES or name.startswith(OPTIMIZER_PREFIXES)


def _fill(path: Path, parameters: dict[str, Parameter]) -> dict[str, float]:
    """Set the parameters that the file names; return its numbers without dimensions."""
    numbers = {}
    for record in read_ckpt(path):
        if record.name in parameters:
            parameter = parameters[record.name]
            parameter.set_data(Tensor(to_float32(record.array, record.dtype), parameter.dtype))
        elif record.array.ndim == 0 and record.name in STATE_NAMES:
            numbers[record.name] = float(record.array)
    return numbers


def _check(path: Path, entries: Sequence[CkptEntry], parameters: Sequence[Parameter]) -> None:
    found = {entry.name: entry.shape for entry in entries}
    wanted = {parameter.name: tuple(parameter.shape) for parameter in parameters}
    complaints = [
        _list("missing", [name for name in wanted if name not in found]),
        _list("not in this model", [name for name in found if name not in wanted]),
        _list(
            "of another shape",
            [
                f"{n} {list(found[n])}, expected {list(wanted[n])}"
                for n in wanted
                if found.get(n, wanted[n]) != wanted[n]
            ],
        ),
    ]
    text = "; ".join(complaint for complaint in complaints if complaint)
    if text:
        raise UserError(f"{path}: does not fit model.model_config: {text}")


def _list(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
