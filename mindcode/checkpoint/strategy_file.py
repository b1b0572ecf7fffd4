"""MindSpore's strategy files: how each parameter of a distributed run is split, read and written without MindSpore.

    strategy = read_strategy(Path("output/strategy"))          # a file, or a folder of ckpt_strategy_rank_*.ckpt
    strategy.placements({"lm_head.weight": (32000, 4096)}, rank=3)
    write_strategies(dims, [blocks_of_rank_0, blocks_of_rank_1], Path("output/strategy"))

A file is the protobuf message
    ParallelStrategyMap{current_stage=1; parallel_strategy_item=2 {node_name=1; parallel_strategys=2 {stage=1;
    parallel_strategy=2 {dim=1}}}; parallel_layout_item=3 {param_name=1; parallel_layouts=2 {dev_matrix=1 {dim=1};
    tensor_map=2 {dim=1}; param_split_shape=3 {dim=1}; indices_offset=4; field=5; opt_weight_shard_step=6;
    opt_weight_shard_size=7}}}
of one rank's stage, or of all stages with `{stage}-` before the names; a .json file has the same keys. dev_matrix is
the arrangement of a stage's devices, tensor_map the dimension of it, counted from the right, that splits each axis
(-1: none), opt_weight_shard_size a further split of the first axis among devices that are `step` apart.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindcode.checkpoint.strategy import Strategy, TensorLayout, layout_of
from mindcode.checkpoint.wire import SPAN, Field, WireError, fields, integer_field, span_field, varints
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Placement
from mindcode.utils.atomic import atomic_open
from mindcode.utils.errors import UserError

MERGED = "merged_ckpt_strategy.ckpt"
_CURRENT_STAGE, _STRATEGY_ITEM, _LAYOUT_ITEM = 1, 2, 3
_NAME, _VALUE, _DIM = 1, 2, 1
_DEVICES, _TENSOR_MAP, _LOCAL_SHAPE, _OFFSETS, _FIELD, _STATE_STEP, _STATE_SIZE = 1, 2, 3, 4, 5, 6, 7
_UNSPLIT = -1


def file_name(rank: int) -> str:
    """Return the name that MindFormers gives a rank's file."""
    return f"ckpt_strategy_rank_{rank}.ckpt"


def read_strategy(path: Path) -> Strategy:
    """Read a strategy file, or a folder of the files of all ranks.

    Raises UserError when it is missing, cut off, something else, or does not have all stages.
    """
    files = [path]
    if path.is_dir():
        merged = path / MERGED
        files = [merged] if merged.is_file() else sorted([*path.glob("*_rank_*.ckpt"), *path.glob("*_rank_*.json")])
    if not files or not files[0].is_file():
        raise UserError(f"{path}: no strategy file; expected a file, or a folder of {file_name(0)}, ...")
    stages: dict[int, dict[str, TensorLayout]] = {}
    for file in files:
        for stage, name, layout in _read_json(file) if file.suffix == ".json" else _read_protobuf(file):
            stages.setdefault(stage, {})[name] = layout
    if sorted(stages) != list(range(len(stages))):
        raise UserError(f"{path}: pipeline stages {sorted(stages)} only; give the folder with the files of all ranks")
    return Strategy(path, stages)


def _staged(name: str, stage: int) -> tuple[int, str]:
    """Split `{stage}-name` of a merged file; a single file has one stage."""
    head, dash, rest = name.partition("-")
    return (int(head), rest) if dash and head.isdigit() else (stage, name)


def _read_json(path: Path) -> Iterator[tuple[int, str, TensorLayout]]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        stages = [item["stage"] for item in tree.get("parallel_strategy_item", {}).values()]
        for name, item in tree["parallel_layout_item"].items():
            stage, plain = _staged(name, stages[0] if stages else 0)
            yield stage, plain, _layout_of_json(item)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a strategy file ({type(error).__name__}: {error})") from error


def _layout_of_json(item: Mapping[str, Any]) -> TensorLayout:
    axes = (axis if isinstance(axis, list) else [axis] for axis in item["tensor_map"])
    return TensorLayout(
        tuple(item["dev_matrix"]),
        tuple(tuple(dim for dim in axis if dim != _UNSPLIT) for axis in axes),
        tuple(item.get("param_split_shape", ())),
        item.get("opt_weight_shard_step", 0),
        item.get("opt_weight_shard_size", 0),
    )


def _read_protobuf(path: Path) -> list[tuple[int, str, TensorLayout]]:
    content = path.read_bytes()
    stage, layouts = 0, []
    try:
        for field in fields(content, 0, len(content)):
            if field.number == _STRATEGY_ITEM and field.kind == SPAN:
                stage = _stage_of(content, field)
            elif field.number == _LAYOUT_ITEM and field.kind == SPAN:
                layouts.append(_layout_item(content, field))
        if not layouts:
            raise UserError(f"{path}: not a strategy file, or one without parameters")
        return [(*_staged(name, stage), layout) for name, layout in layouts]
    except (WireError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: truncated, or not a strategy file ({error})") from error


def _inner(content: bytes, outer: Field) -> list[Field]:
    return list(fields(content, outer.start, outer.stop))


def _stage_of(content: bytes, item: Field) -> int:
    values = [field for field in _inner(content, item) if field.number == _VALUE]
    return next((field.value for value in values for field in _inner(content, value) if field.number == 1), 0)


def _layout_item(content: bytes, item: Field) -> tuple[str, TensorLayout]:
    name, found = "", TensorLayout((), ())
    for field in _inner(content, item):
        if field.number == _NAME:
            name = content[field.start : field.stop].decode()
        elif field.number == _VALUE:
            found = _layout(content, field)
    if not name or not found.dev_matrix:
        raise WireError(item.start, "a parameter without a name or a layout")
    return name, found


def _layout(content: bytes, message: Field) -> TensorLayout:
    devices: tuple[int, ...] = ()
    local: tuple[int, ...] = ()
    maps: list[tuple[int, ...]] = []
    step = size = 0
    for field in _inner(content, message):
        if field.number == _DEVICES:
            devices = _dims(content, field)
        elif field.number == _TENSOR_MAP:
            maps.append(_dims(content, field))
        elif field.number == _LOCAL_SHAPE:
            local = _dims(content, field)
        elif field.number == _STATE_STEP:
            step = _signed(field.value)
        elif field.number == _STATE_SIZE:
            size = _signed(field.value)
    axes = maps if len(maps) > 1 else [(dim,) for dim in maps[0]] if maps else []
    split = tuple(tuple(dim for dim in axis if dim != _UNSPLIT) for axis in axes)
    return TensorLayout(devices, split, local, step, size)


def _dims(content: bytes, message: Field) -> tuple[int, ...]:
    found: list[int] = []
    for field in _inner(content, message):
        if field.number == _DIM:
            packed = field.kind == SPAN
            found += varints(content, field.start, field.stop) if packed else [field.value]
    return tuple(_signed(value) for value in found)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def write_strategies(dims: ParallelDims, ranks: Iterable[Mapping[str, Placement]], folder: Path) -> list[Path]:
    """Write the strategy file of every rank, as a run in MindSpore would have; return the files.

    `ranks` states the block of each tensor that a rank holds. Raises UserError for a tensor that no plan knows.
    """
    written = []
    for rank, placements in enumerate(ranks):
        written.append(folder / file_name(rank))
        with atomic_open(written[-1], "wb") as stream:
            stream.write(_encoded_strategy(dims, placements, rank))
    return written


def _encoded_strategy(dims: ParallelDims, placements: Mapping[str, Placement], rank: int) -> bytes:
    stage = dims.coordinates(rank).stage
    # readers find the stage in the first operation; which operations there are does not matter to them
    operation = integer_field(1, stage) + span_field(_VALUE, _encoded((dims.data_parallel, dims.model_parallel)))
    parts = [integer_field(_CURRENT_STAGE, stage)]
    parts.append(span_field(_STRATEGY_ITEM, span_field(_NAME, b"stage") + span_field(_VALUE, operation)))
    for name, placement in placements.items():
        layout = _encoded_layout(layout_of(dims, name, placement))
        parts.append(span_field(_LAYOUT_ITEM, span_field(_NAME, name.encode()) + span_field(_VALUE, layout)))
    return b"".join(parts)


def _encoded_layout(layout: TensorLayout) -> bytes:
    single = all(len(dims) <= 1 for dims in layout.tensor_map)
    maps = [tuple(dims[0] if dims else _UNSPLIT for dims in layout.tensor_map)] if single else layout.tensor_map
    return b"".join(
        [
            span_field(_DEVICES, _encoded(layout.dev_matrix)),
            *(span_field(_TENSOR_MAP, _encoded(dims)) for dims in maps),
            span_field(_LOCAL_SHAPE, _encoded(layout.local_shape)),
            span_field(_OFFSETS, b""),
            integer_field(_FIELD, 0),
            integer_field(_STATE_STEP, layout.state_step),
            integer_field(_STATE_SIZE, layout.state_size),
        ]
    )


def _encoded(dims: Sequence[int]) -> bytes:
    return b"".join(integer_field(_DIM, dim % (1 << 64)) for dim in dims)
