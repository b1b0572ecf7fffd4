"""MindSpore's strategy files, both ways: MindSpore converts with what is written here, and what it writes is read."""

import json
import re
from pathlib import Path

import mindspore
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from helpers.shards import STATE, TINY, random_tensors, save_run
from mindspore.train import node_strategy_pb2

from mindcode.checkpoint.blocks import whole
from mindcode.checkpoint.by_strategy import Source
from mindcode.checkpoint.ckpt_file import CkptWriter, TensorRecord, read_ckpt
from mindcode.checkpoint.manifest import Position, read_manifest
from mindcode.checkpoint.placements import Split
from mindcode.checkpoint.reshard import Target, transform
from mindcode.checkpoint.strategy_file import read_strategy, write_strategies
from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import Shape
from mindcode.utils.errors import UserError

TENSORS = random_tensors(TINY)
SHAPES: dict[str, Shape] = {name: tensor.shape for name, tensor in TENSORS.items()}
WIDE, DEEP = ParallelDims(2, 2, 1), ParallelDims(1, 2, 2)
WQ = "model.layers.3.attention.wq.weight"


def split_of(dims: ParallelDims) -> Split:
    """Optimizer state sharded wherever there are replicas."""
    return Split.of_tensors(SHAPES, dims, 0, 0)


def written(folder: Path, dims: ParallelDims) -> tuple[Path, Path]:
    """A run's folder of checkpoints, without its manifest as MindSpore leaves it, and its strategy files."""
    manifest = save_run(folder / "run", TENSORS, split_of(dims), Position(1, 5))
    blocks = map(read_manifest(manifest).placements, range(dims.world_size))
    write_strategies(dims, blocks, folder / "strategy")
    manifest.unlink()
    return manifest.parent, folder / "strategy"


@pytest.mark.parametrize("dims", [WIDE, DEEP, ParallelDims(2, 2, 2), ParallelDims(4, 1, 1)], ids=str)
def test_what_is_written_is_read_as_the_plan_says(tmp_path: Path, dims: ParallelDims) -> None:
    _, folder = written(tmp_path, dims)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"ckpt_strategy_rank_{rank}.ckpt" for rank in range(dims.world_size)
    ]
    strategy = read_strategy(folder)
    assert strategy.dims.world_size == dims.world_size
    for rank in range(dims.world_size):
        assert strategy.placements(SHAPES, rank) == split_of(dims).placements(SHAPES, rank)


def test_files_of_a_run_without_a_manifest_are_joined(tmp_path: Path) -> None:
    checkpoints, strategy = written(tmp_path, ParallelDims(2, 2, 2))
    checkpoint = Source(checkpoints, strategy).open()
    for name, numbers in checkpoint.read({name: whole(shape) for name, shape in SHAPES.items()}):
        assert numbers.tobytes() == TENSORS[name].tobytes(), name
    assert sorted(checkpoint.state) == sorted(number.name for number in STATE)


def test_mindspore_converts_with_these_strategies_to_the_same_numbers(tmp_path: Path) -> None:
    checkpoints, source = written(tmp_path / "wide", WIDE)
    _, folder = written(tmp_path / "deep", DEEP)
    target = tmp_path / "merged" / "deep.ckpt"
    mindspore.merge_pipeline_strategys(str(folder), str(target))
    one = str(source / "ckpt_strategy_rank_0.ckpt")
    # the second part of every tensor, and both halves of its moments
    assert sorted(mindspore.rank_list_for_transform(3, one, str(target))) == [1, 3]
    mindspore.transform_checkpoints(str(checkpoints), str(tmp_path / "theirs"), "part_", one, str(target))
    ours = Target(tmp_path / "ours", "part_")
    transform(Source(checkpoints, source), ours, read_strategy(folder))
    for rank in range(DEEP.world_size):
        theirs = {r.name: r.array for r in read_ckpt(tmp_path / "theirs" / f"rank_{rank}" / f"part_{rank}.ckpt")}
        found = {r.name: r.array for r in read_ckpt(ours.file(rank)) if r.array.shape != ()}
        assert sorted(found) == sorted(name for name, array in theirs.items() if array.shape != ())
        assert all(found[name].tobytes() == theirs[name].tobytes() for name in found)


def test_what_mindspore_merged_is_read(tmp_path: Path) -> None:
    _, folder = written(tmp_path, DEEP)
    merged = tmp_path / "merged.ckpt"
    mindspore.merge_pipeline_strategys(str(folder), str(merged))
    strategy = read_strategy(merged)
    for rank in range(DEEP.world_size):
        assert strategy.placements(SHAPES, rank) == split_of(DEEP).placements(SHAPES, rank)


def as_json(path: Path) -> dict[str, object]:
    """A strategy file as MindSpore's own .json: the same keys, dimensions as plain lists, stages as dictionaries."""
    message = node_strategy_pb2.ParallelStrategyMap()
    message.ParseFromString(path.read_bytes())
    layouts = {}
    for item in message.parallel_layout_item:
        layout = item.parallel_layouts
        layouts[item.param_name] = {
            "dev_matrix": list(layout.dev_matrix[0].dim),
            "tensor_map": list(layout.tensor_map[0].dim),
            "param_split_shape": list(layout.param_split_shape[0].dim),
            "indices_offset": [],
            "field": layout.field,
            "opt_weight_shard_step": layout.opt_weight_shard_step,
            "opt_weight_shard_size": layout.opt_weight_shard_size,
        }
    stage = message.parallel_strategy_item[0].parallel_strategys.stage
    operations = {"MatMul": {"stage": stage, "parallel_strategy": []}}
    return {"current_stage": stage, "parallel_strategy_item": operations, "parallel_layout_item": layouts}


def test_json_files_and_what_mindspore_merges_of_them(tmp_path: Path) -> None:
    _, folder = written(tmp_path, DEEP)
    single = tmp_path / "json"
    single.mkdir()
    for path in folder.iterdir():
        (single / f"{path.stem}.json").write_text(json.dumps(as_json(path)))
    merged = tmp_path / "merged.json"
    mindspore.merge_pipeline_strategys(str(single), str(merged))
    for path in (single, merged):
        for rank in range(DEEP.world_size):
            assert read_strategy(path).placements(SHAPES, rank) == split_of(DEEP).placements(SHAPES, rank)


def test_every_field_of_the_message_is_mindspores(tmp_path: Path) -> None:
    _, folder = written(tmp_path, WIDE)
    message = node_strategy_pb2.ParallelStrategyMap()
    message.ParseFromString((folder / "ckpt_strategy_rank_0.ckpt").read_bytes())
    items = {item.param_name: item.parallel_layouts for item in message.parallel_layout_item}
    assert sorted(items) == sorted(TENSORS)
    moment = MessageToDict(items[f"adam_m.{WQ}"], preserving_proto_field_name=True)
    assert moment["opt_weight_shard_step"] == moment["opt_weight_shard_size"] == 2
    assert list(items[f"adam_m.{WQ}"].param_split_shape[0].dim) == [4, 16]
    assert list(items[WQ].dev_matrix[0].dim) == [2, 2]
    assert list(items[WQ].tensor_map[0].dim) == [0, -1]


def test_an_axis_cut_by_two_dimensions(tmp_path: Path) -> None:
    message = node_strategy_pb2.ParallelStrategyMap(current_stage=0)
    item = message.parallel_layout_item.add()
    item.param_name = "lm_head.weight"
    item.parallel_layouts.field = item.parallel_layouts.opt_weight_shard_step = 0
    item.parallel_layouts.opt_weight_shard_size = 0
    item.parallel_layouts.dev_matrix.add().dim.extend([2, 3])
    item.parallel_layouts.tensor_map.add().dim.extend([1, 0])
    item.parallel_layouts.tensor_map.add().dim.extend([-1])
    item.parallel_layouts.param_split_shape.add().dim.extend([4, 8])
    path = tmp_path / "strategy.ckpt"
    path.write_bytes(message.SerializeToString())
    strategy = read_strategy(path)
    starts = [strategy.placements({"lm_head.weight": (24, 8)}, rank)["lm_head.weight"].start for rank in range(6)]
    assert starts == [(0, 0), (4, 0), (8, 0), (12, 0), (16, 0), (20, 0)]


def test_what_is_no_strategy_file_is_named(tmp_path: Path) -> None:
    _, folder = written(tmp_path, DEEP)
    path = folder / "ckpt_strategy_rank_0.ckpt"
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(UserError, match=f"{path.name}: truncated, or not a strategy file"):
        read_strategy(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="not a strategy file, or one without parameters"):
        read_strategy(path)
    (tmp_path / "strategy.json").write_text("{}")
    with pytest.raises(UserError, match=r"strategy\.json: not a strategy file \(KeyError"):
        read_strategy(tmp_path / "strategy.json")
    with pytest.raises(UserError, match=r"nowhere: no strategy file; expected a file, or a folder"):
        read_strategy(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"pipeline stages \[1\] only; give the folder"):
        read_strategy(folder / "ckpt_strategy_rank_2.ckpt")


def test_a_missing_rank_or_another_model_is_named(tmp_path: Path) -> None:
    checkpoints, strategy = written(tmp_path, WIDE)
    with pytest.raises(UserError, match="files of 4 ranks without a manifest; name the strategy file"):
        Source(checkpoints).open()
    _, other = written(tmp_path / "deep", DEEP)
    with pytest.raises(UserError, match=r"the strategy is of another run"):
        Source(checkpoints, other).open()
    (checkpoints / "rank_2" / "tiny_rank_2-1_5.ckpt").unlink()
    with pytest.raises(UserError, match=r"no \.ckpt file in rank_2; .* is of 4 ranks, 1 of them are missing"):
        Source(checkpoints, strategy).open()
    with pytest.raises(UserError, match=re.escape("lm_head.weight [23, 16] cannot be divided into [2, 1] parts")):
        read_strategy(strategy).placements({"lm_head.weight": (23, 16)}, 0)


def test_the_newest_position_is_counted_not_spelled(tmp_path: Path) -> None:
    folder = tmp_path / "rank_0"
    folder.mkdir()
    for epoch in (9, 10):
        with CkptWriter(folder / f"codellama_rank_0-{epoch}_4.ckpt") as writer:
            writer.add(TensorRecord("lm_head.weight", "Float32", np.full((2, 2), epoch, np.float32)))
    checkpoint = Source(tmp_path).open()
    assert checkpoint.path.name == "codellama_rank_0-10_4.ckpt"
