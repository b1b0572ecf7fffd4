"""How the operations of the model are split, as a table of names. Pure Python, read by semi_auto.py.

    table = Strategies(ParallelDims(data_parallel=2, model_parallel=4), use_seq_parallel=True)
    table.of("model.layers.0.attention.wq.matmul")      # Strategy(inputs=((2, 1), (4, 1)), output=None)

An operation that uses a weight follows the weight's role in the plan; the others have rows of their own. A row has a
word for each input, and a word a letter for each axis:

    d    split over the data-parallel replicas
    m    split over the parts of tensor parallelism
    t    tokens of the residual stream: split over the replicas, and with sequence parallelism over the parts, too
    -    not split
    w    (as a whole word) split like the weight

A scalar is the empty word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mindcode.parallel.dims import ParallelDims
from mindcode.parallel.plan import RULES, Role, Shape
from mindcode.utils.errors import UserError

WEIGHT = "w"


class Words(NamedTuple):
    """One row, still in letters."""

    inputs: tuple[str, ...]
    output: str | None = None
    """Only where the result is laid out otherwise than the operation itself would."""


class Strategy(NamedTuple):
    """Into how many pieces every axis of every input, and of the output where it is given, is cut."""

    inputs: tuple[Shape, ...]
    output: Shape | None = None


def row(*inputs: str) -> Words:
    """Return the row of an operation whose result follows from its inputs."""
    return Words(inputs)


WEIGHTED: dict[Role, dict[str, Words]] = {
    Role.COLUMN: {"cast": row(WEIGHT), "matmul": row("d-", WEIGHT)},
    # the sums over the parts end in slices of the residual stream: ReduceScatter with sequence parallelism
    Role.ROW: {"cast": row(WEIGHT), "matmul": Words(("dm", WEIGHT), "t-")},
    Role.VOCAB: {
        "cast": row(WEIGHT),
        "matmul": row("d-", WEIGHT),
        "gather": Words((WEIGHT, "d"), "t-"),
        "cast_rows": row("t-"),
    },
    Role.NORM: {
        "cast": row("t-"),
        "cast_back": row("t-"),
        "norm.rms_norm": row("t-", WEIGHT),
        "norm.square": row("t-"),
        "norm.mean": row("t-"),
        "norm.add": row("t-", ""),
        "norm.rsqrt": row("t-"),
        "norm.normalize": row("t-", "t-"),
        "norm.scale": row("t-", WEIGHT),
    },
}
"""Operations of the cell that owns a weight, by the weight's role."""

_LAYER, _CORE = r"model\.layers\.\d+\.", r"model\.layers\.\d+\.attention\.core\."
_MASK, _ROPE = r"model\.mask\.", r"model\.layers\.\d+\.attention\.rope_[qk]\."
_CROSS_ENTROPY = r"loss\.cross_entropy\."

ACTIVATIONS: tuple[tuple[str, Words], ...] = (
    (_MASK + r"hidden_keys\.equal", row("d-", "")),
    (_MASK + r"hidden_keys\.logical_or", row("----", "d---")),
    (_MASK + r"cast", row("d---")),
    (_MASK + r"scale", row("d---", "")),
    (_LAYER + r"add_(attention|feed_forward)", row("t-", "t-")),
    (_LAYER + r"attention\.cast", row("dm--")),
    (_LAYER + r"attention\.split_heads\.transpose", row("d-m-")),
    (_LAYER + r"attention\.merge_heads\.transpose", row("dm--")),
    (_ROPE + r"(split|neg)", row("dm--")),
    (_ROPE + r"(concat|add)", row("dm--", "dm--")),
    (_ROPE + r"mul_(cos|sin)", row("dm--", "----")),
    (_CORE + r"(cast|softmax)", row("dm--")),
    (_CORE + r"scale_queries", row("dm--", "")),
    (_CORE + r"add_mask", row("dm--", "d---")),
    (_CORE + r"(query_key|weight_value)", row("dm--", "dm--")),
    (_CORE + r"flash", row("dm--", "dm--", "dm--", "d---")),
    (_LAYER + r"feed_forward\.silu", row("dm")),
    (_LAYER + r"feed_forward\.mul", row("dm", "dm")),
    (r"loss\.cast_logits", row("dm")),
    (r"loss\.cast_tokens", row("d")),
    (r"loss\.not_(padding|ignored)", row("d", "")),
    (r"loss\.(blank|weigh)", row("d", "d")),
    (r"loss\.(sum|count)", row("d")),
    (_CROSS_ENTROPY + r"(max|exp|sum|pick_sum)", row("dm")),
    (_CROSS_ENTROPY + r"center", row("dm", "d-")),
    (_CROSS_ENTROPY + r"log", row("d")),
    (_CROSS_ENTROPY + r"one_hot", row("dm", "", "")),
    (_CROSS_ENTROPY + r"pick", row("dm", "dm")),
    (_CROSS_ENTROPY + r"subtract", row("d", "d")),
)
"""Operations on activations only, by the pattern that their whole name matches."""

FREE = (r".*\breshape",)
"""Operations without a strategy: MindSpore lays a reshape out from what comes before and after it."""


@dataclass(frozen=True)
class Strategies:
    """The table, applied to degrees."""

    dims: ParallelDims
    use_seq_parallel: bool = False

    def of(self, name: str) -> Strategy | None:
        """Return the strategy of an operation, None for those that need none; UserError unless one row covers it."""
        rows = list(_rows(name))
        if len(rows) != 1:
            raise UserError(f"shard strategies: operation {name!r} is covered by {len(rows)} rows; expected one")
        (words,) = rows
        if words is None:
            return None
        inputs = tuple(self._degrees(word) for word in words.inputs)
        return Strategy(inputs, None if words.output is None else self._degrees(words.output))

    def _degrees(self, word: str) -> Shape:
        dims = self.dims
        tokens = dims.data_parallel * (dims.model_parallel if self.use_seq_parallel else 1)
        letters = {"d": dims.data_parallel, "m": dims.model_parallel, "t": tokens, "-": 1}
        return tuple(letters[letter] for letter in word)


def _rows(name: str) -> Iterator[Words | None]:
    """Yield every row that covers an operation; None stands for the list of those that need no strategy."""
    yield from (None for pattern in FREE if re.fullmatch(pattern, name))
    yield from (words for pattern, words in ACTIVATIONS if re.fullmatch(pattern, name))
    parts = name.split(".")
    for cut in range(1, len(parts)):
        owner, operation = ".".join(parts[:cut]), ".".join(parts[cut:])
        for rule in RULES:
            if re.fullmatch(rule.pattern, f"{owner}.weight") or re.fullmatch(rule.pattern, f"{owner}.embedding_weight"):
                words = WEIGHTED[rule.role].get(operation)
                if words is not None:
                    yield _with_weight(words, rule.role)


def _with_weight(words: Words, role: Role) -> Words:
    word = "-" if role is Role.NORM else "".join("m" if axis == role.axis else "-" for axis in range(2))
    return words._replace(inputs=tuple(word if given == WEIGHT else given for given in words.inputs))
