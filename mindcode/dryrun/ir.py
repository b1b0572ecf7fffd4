"""Reads the graph that MindSpore's front end made for one rank, from the text file in which it is dumped.

    (path,) = dumped_graphs(folder, 1)
    graph = read_graph(path)
    graph.parameters, graph.operators, graph.collectives

The file is the one of the pass "validate": everything is inlined, sharded and differentiated, nothing is fused yet, and
an operator still says whether it belongs to the forward or to the backward pass.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mindcode.checkpoint.dtypes import FORMATS
from mindcode.parallel.plan import Shape
from mindcode.utils.errors import UserError

PASS = "validate"
"""MindSpore's name of the pass, for its variable MS_DEV_DUMP_IR_PASSES."""

COLLECTIVES = ("AllReduce", "AllGather", "ReduceScatter", "AlltoAll", "Broadcast", "Send", "Receive")
FORWARD, BACKWARD, STEP = "forward", "backward", "once a step"
"""Where an operator stands: in the passes over a micro-batch, or outside of them."""


@dataclass(frozen=True)
class TensorType:
    """Shape and number format of a tensor on this rank."""

    shape: Shape
    dtype: str

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return prod(self.shape) * FORMATS[self.dtype].storage.itemsize

    def __str__(self) -> str:
        """As in `Float16 4096x8192`."""
        return f"{self.dtype} {'x'.join(map(str, self.shape)) or 'number'}"


@dataclass(frozen=True)
class Operator:
    """A kind of operator, as it is counted."""

    kind: str
    phase: str
    strategy: tuple[Shape, ...]
    """Into how many pieces each input is cut; empty where nobody said so."""


@dataclass(frozen=True)
class Collective:
    """A kind of communication, as it is counted."""

    kind: str
    phase: str
    group: tuple[int, ...]
    """The ranks that take part; of a Send or Receive, this rank's partner alone."""
    tensor: TensorType
    """The larger of what goes in and what comes out."""
    tag: int = 0
    """Number of a Send among those to the same rank, likewise of a Receive."""


@dataclass(frozen=True)
class Graph:
    """What was compiled for one rank."""

    parameters: Mapping[str, TensorType]
    """Everything that stays in memory between steps, by name."""
    operators: Mapping[Operator, int]
    collectives: Mapping[Collective, int]


_PARAMETER = re.compile(r"^%para\d+_(\S+): <Ref\[Tensor\[(\w+)\]\], \(([\d, ]*)\)")
_OPERATOR = re.compile(r"^ +%\d+\([^)]*\) = (?:PrimFunc_|\w+::S-Prim-)?(\w+)\(")
_TENSOR = re.compile(r"<(?:Ref\[)?Tensor\[(\w+)\]\]?, \(([\d, ]*)\)")
_STRATEGY = re.compile(r"in_strategy: \((\(.*?\))\)[,}]")
_GROUP = re.compile(r"group_rank_ids: \(([\d, ]*)\)")
_OWN_GROUP = re.compile(r'group: "ranks_(\d[\d_]*)"')
"""The name of a group that mindcode made itself."""
_OWN_ID = re.compile(r"[{ ]unique_id:")
_PEER = re.compile(r"(?:dest|src)_rank: I64\((\d+)\)")
_TAG = re.compile(r"sr_tag: I64\((\d+)\)")


def dumped_graphs(folder: Path, count: int) -> list[Path]:
    """Return the `count` largest dumps of the pass below `folder`, in the order in which they were compiled.

    The others are of helpers: MindSpore compiles a graph for every conversion of a tensor. UserError when some lack.
    """
    files = sorted(folder.rglob(f"*_{PASS}_*.ir"), key=lambda path: path.stat().st_size)[-count:]
    if len(files) < count:
        raise UserError(f"{folder}: MindSpore wrote {len(files)} graphs; expected {count} files *_{PASS}_*.ir")
    return sorted(files, key=lambda path: int(path.stem.rpartition("_")[2]))


def read_graph(path: Path) -> Graph:
    """Return what a dump holds."""
    parameters: dict[str, TensorType] = {}
    operators: Counter[Operator] = Counter()
    collectives: Counter[Collective] = Counter()
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := _PARAMETER.match(line):
                parameters[found[1]] = TensorType(_numbers(found[3]), found[2])
            elif found := _OPERATOR.match(line):
                operators[Operator(found[1], _phase(line), _strategy(line))] += 1
                if found[1] in COLLECTIVES:
                    collectives[_collective(found[1], line, next(lines))] += 1
    return Graph(parameters, operators, collectives)


def _phase(line: str) -> str:
    """Operators of the backward pass name the one of the forward pass that they belong to, both their micro-batch.

    What recomputation adds has a micro-batch and nothing else.
    """
    if _OWN_ID.search(line) and "forward_unique_id:" not in line:
        return FORWARD
    return BACKWARD if " micro:" in line else STEP


def _strategy(line: str) -> tuple[Shape, ...]:
    found = _STRATEGY.search(line)
    return tuple(_numbers(part) for part in re.findall(r"\(([\d, ]*)\)", found[1])) if found else ()


def _collective(kind: str, line: str, types: str) -> Collective:
    found = _GROUP.search(line) or _OWN_GROUP.search(line)
    group = _numbers(found[1].replace("_", ",")) if found else ()
    tensor = max(_tensors(types), key=lambda tensor: tensor.bytes)
    peer, tag = _PEER.search(line), _TAG.search(line)
    if kind in ("Send", "Receive") and peer and tag:
        return Collective(kind, _phase(line), (group[int(peer[1])],), tensor, int(tag[1]))
    return Collective(kind, _phase(line), group, tensor)


def _tensors(types: str) -> Iterator[TensorType]:
    """Yield the tensors of the line that says what goes in and what comes out."""
    for dtype, shape in _TENSOR.findall(types):
        yield TensorType(_numbers(shape), dtype)


def _numbers(text: str) -> Shape:
    return tuple(int(number) for number in text.replace(" ", "").split(",") if number)
