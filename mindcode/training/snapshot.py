"""Parameters and training state to checkpoint records and back, with every name and shape accounted for."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mindspore import Parameter, Tensor

from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.ckpt_file import TensorRecord
from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.manifest import Position
from mindcode.checkpoint.names import STATE_PREFIXES
from mindcode.checkpoint.placements import weight_of
from mindcode.checkpoint.runs import Checkpoint
from mindcode.checkpoint.shard_file import ShardRecord
from mindcode.parallel.plan import Placement, Shape
from mindcode.training.progress import TrainState
from mindcode.utils.errors import UserError

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


@dataclass(frozen=True)
class Layout:
    """Which blocks of the model's tensors this process holds."""

    shapes: Mapping[str, Shape]
    """The global shape of every weight of the model."""
    placements: Mapping[str, Placement]
    """The block of every weight and of every tensor of the optimizer's state that lives here."""

    @classmethod
    def whole(cls, parameters: Iterable[Parameter]) -> "Layout":
        """Return the layout of a process that holds everything; `parameters` are weights and optimizer state."""
        placements = {p.name: whole(tuple(p.shape)) for p in parameters}
        shapes = {name: placement.shape for name, placement in placements.items() if not _is_state(name)}
        return cls(shapes, placements)


def shard_records(parameters: Iterable[Parameter], layout: Layout) -> list[ShardRecord]:
    """Describe parameters for a checkpoint; each is copied to the host when it is its turn."""
    return [
        ShardRecord(p.name, str(p.dtype), layout.placements[p.name], functools.partial(_numbers, p)) for p in parameters
    ]


def _numbers(parameter: Parameter) -> np.ndarray:
    array: np.ndarray = parameter.asnumpy()
    return array.view(np.uint16) if str(parameter.dtype) == "BFloat16" else array


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


def load_weights(checkpoint: Checkpoint, parameters: Sequence[Parameter], layout: Layout) -> None:
    """Set `parameters` from a checkpoint in any format of floats; an optimizer's state in it is passed over.

    Raises UserError unless its weights are exactly the model's, by name and global shape.
    """
    found = {name: tensor.shape for name, tensor in checkpoint.tensors.items() if not _is_state(name)}
    unknown = [name for name in found if name not in layout.shapes]
    _check(checkpoint, found, layout.shapes, unknown)
    _fill(checkpoint, parameters, layout)


def load_run(
    checkpoint: Checkpoint, parameters: Sequence[Parameter], layout: Layout, state: TrainState, rows_per_step: int
) -> TrainState:
    """Set weights and optimizer state from a checkpoint of a run, and return where it was.

    `state` gives the rule of the loss scale. Raises UserError when it is not the state of such a run.
    """
    path = checkpoint.path
    found = {name: tensor.shape for name, tensor in checkpoint.tensors.items() if name not in STATE_NAMES}
    if not any(name.startswith(STATE_PREFIXES) for name in found):
        raise UserError(f"{path}: holds weights only; resume from a file in checkpoint/, or use it as load_checkpoint")
    wanted = {**layout.shapes, **{p.name: layout.placements[p.name].global_shape for p in parameters}}
    prefixes = {_prefix(parameter.name) for parameter in parameters}
    unknown = [name for name in found if weight_of(name) not in layout.shapes or _prefix(name) not in prefixes]
    _check(checkpoint, found, wanted, unknown)
    missing = [name for name in STATE_NAMES if name not in checkpoint.state]
    if missing:
        raise UserError(f"{path}: holds no {', '.join(missing)}; it was not written by mindcode train")
    numbers = {name: float(checkpoint.state[name].array) for name in STATE_NAMES}
    rows = int(numbers["global_batch_size"])
    if rows != rows_per_step:
        raise UserError(
            f"{path}: was trained with {rows} rows a step, now {rows_per_step}; to continue it, batch_size x "
            f"data_parallel x gradient_accumulation_steps (with stages micro_batch_num) must be {rows}"
        )
    _fill(checkpoint, parameters, layout)
    scale = replace(state.loss_scale, value=numbers["loss_scale"], clean_steps=int(numbers["clean_steps"]))
    return TrainState(scale, int(numbers["global_step"]), int(numbers["update_step"]))


def finished_steps(checkpoint: Checkpoint) -> int:
    """Return how many steps a checkpoint of a run has behind it."""
    if "global_step" not in checkpoint.state:
        raise UserError(f"{checkpoint.path}: holds no global_step; it was not written by mindcode train")
    return int(checkpoint.state["global_step"].array)


def _is_state(name: str) -> bool:
    return name in STATE_NAMES or name.startswith(STATE_PREFIXES)


def _prefix(name: str) -> str:
    """What the optimizer put before a weight's name, or nothing."""
    return name.removesuffix(weight_of(name))


def _fill(checkpoint: Checkpoint, parameters: Sequence[Parameter], layout: Layout) -> None:
    """Read the block that each parameter stands for."""
    for parameter in parameters:
        placement = layout.placements[parameter.name]
        tensor = checkpoint.tensor(parameter.name, placement)
        numbers = to_float32(np.ascontiguousarray(tensor.read(placement)), tensor.dtype)
        parameter.set_data(Tensor(numbers, parameter.dtype))


def _check(
    checkpoint: Checkpoint, found: Mapping[str, Shape], wanted: Mapping[str, Shape], unknown: Sequence[str]
) -> None:
    complaints = [
        _list("missing", [name for name in wanted if name not in found]),
        _list("not in this model", unknown),
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
        raise UserError(f"{checkpoint.path}: does not fit model.model_config: {text}")


def _list(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
