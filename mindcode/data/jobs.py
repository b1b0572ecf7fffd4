"""The two kinds of dataset: what is read, what the worker processes do with it, how their results become rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mindcode.data.mindrecord_format import Column
from mindcode.data.packing import Packer
from mindcode.data.qa import IGNORE, Problem, QaEncoder, QaRows
from mindcode.data.records import Record, read_records
from mindcode.data.targets import script_writer
from mindcode.data.tokenizer import Tokenizer, load_tokenizer
from mindcode.data.wiki import Chunk, Edge, paragraphs, read_chunks
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger

BATCH_RECORDS = 256
MAX_LISTED = 1000
_MAX_LOGGED = 20


@dataclass(frozen=True)
class RowSettings:
    """What decides the content of the rows."""

    dataset_type: str
    seq_length: int
    repeat: int
    template: str
    packing: bool
    keep_masked: bool
    on_error: str

    @property
    def row_length(self) -> int:
        """Tokens in a row: inputs and targets are the same row, shifted by one."""
        return self.seq_length + 1


@dataclass
class Counts:
    """What has come out so far; `listed` holds the first problems, the numbers count all of them."""

    records: int = 0
    rows: int = 0
    tokens: int = 0
    padding_tokens: int = 0
    dropped_tokens: int = 0
    truncated_records: int = 0
    bad_records: int = 0
    masked_records: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def add_columns(self, columns: Sequence[Column], row_length: int) -> None:
        """Count finished rows."""
        rows, tokens = len(columns[0].lengths), int(columns[0].lengths.sum())
        self.rows += rows
        self.tokens += tokens
        self.padding_tokens += rows * row_length - tokens

    def report(self, problem: Problem, what: str) -> None:
        """List a problem, and log it while there are few."""
        if len(self.listed) < MAX_LISTED:
            self.listed.append({"record": problem.where, "what": what, "reason": problem.reason})
        if len(self.listed) <= _MAX_LOGGED:
            get_logger().warning("%s: %s: %s", problem.where, what, problem.reason)
        elif len(self.listed) == _MAX_LOGGED + 1:
            get_logger().warning("further records of this kind are listed in the summary file only")

    def as_json(self) -> dict[str, Any]:
        """For the summary file."""
        return asdict(self)


class Job(Protocol):
    """One kind of dataset. Tasks are (payload, bytes of input) pairs."""

    columns: tuple[str, ...]
    counts: Counts

    def tasks(self) -> Iterator[tuple[Any, int]]:
        """Read the inputs."""

    def build(self) -> Callable[[tuple[Any, int]], Any]:
        """Make, inside a worker, the function from a task to its result."""

    def rows(self, result: Any) -> Iterator[list[Column]]:
        """Rows that a result completes."""

    def rest(self) -> Iterator[list[Column]]:
        """Rows that the end of the input completes."""


class WikiJob:
    """Plain text: paragraphs, each between BOS and EOS, in one stream that is cut into full rows."""

    columns: tuple[str, ...] = ("input_ids",)

    def __init__(
        self, settings: RowSettings, inputs: Sequence[Path], tokenizer_path: Path, joint: str | None, spool: Path
    ) -> None:
        """`joint` is the tokenizer's word_joint; `spool` is a file that may be made to repeat the stream."""
        self.counts = Counts()
        self._settings, self._inputs, self._spool = settings, inputs, spool
        self._edges = (Edge.PARAGRAPH,) if joint is None else (Edge.PARAGRAPH, Edge.WORD)
        self.build = partial(_build_wiki, tokenizer_path, joint or "")
        self._left = np.empty(0, np.int32)

    def tasks(self) -> Iterator[tuple[Chunk, int]]:
        """See Job.tasks."""
        for path in self._inputs:
            for chunk in read_chunks(path, self._edges):
                yield chunk, len(chunk.text.encode())

    def rows(self, result: tuple[int, np.ndarray]) -> Iterator[list[Column]]:
        """See Job.rows."""
        paragraphs, stream = result
        self.counts.records += paragraphs
        if self._settings.repeat > 1:
            with open(self._spool, "ab") as spool:
                stream.tofile(spool)
        yield self._cut(stream)

    def rest(self) -> Iterator[list[Column]]:
        """See Job.rest."""
        for _ in range(self._settings.repeat - 1):
            stream = np.memmap(self._spool, np.int32, "r")
            for start in range(0, len(stream), 1 << 20):
                yield self._cut(stream[start : start + (1 << 20)])
        self.counts.dropped_tokens = len(self._left)
        self._spool.unlink(missing_ok=True)

    def _cut(self, stream: np.ndarray) -> list[Column]:
        length = self._settings.row_length
        stream = np.concatenate([self._left, stream])
        rows = len(stream) // length
        self._left = stream[rows * length :]
        return [Column(stream[: rows * length], np.full(rows, length), 0)]


def _build_wiki(tokenizer: Path, joint: str) -> Callable[[tuple[Chunk, int]], tuple[int, np.ndarray]]:
    return partial(_encode_chunk, load_tokenizer(tokenizer), joint)


def _encode_chunk(tokenizer: Tokenizer, joint: str, task: tuple[Chunk, int]) -> tuple[int, np.ndarray]:
    """How many paragraphs begin in a chunk, and the ids of all, each between BOS and EOS."""
    before = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    after = [] if tokenizer.eos_id is None else [tokenizer.eos_id]
    parts = paragraphs(task[0])
    encoded = tokenizer.encode_batch_with_specials([part.text if part.begins else joint + part.text for part in parts])
    arrays = [
        np.array([*(before if part.begins else ()), *ids, *(after if part.ends else ())], np.int32)
        for part, ids in zip(parts, encoded, strict=True)
    ]
    return sum(part.begins for part in parts), np.concatenate([np.empty(0, np.int32), *arrays])


class QaJob:
    """Conversations: one a row, padded, or several a row when packed; only the assistant's words are targets."""

    columns: tuple[str, ...] = ("input_ids", "labels")

    def __init__(self, settings: RowSettings, inputs: Sequence[Path], tokenizer_path: Path) -> None:
        """Raises UserError when the tokenizer cannot serve the template, before any process starts."""
        self.counts = Counts()
        tokenizer = load_tokenizer(tokenizer_path)
        script_writer(tokenizer, settings.template)
        self._settings, self._inputs, self._pad_id = settings, inputs, tokenizer.pad_id
        self.build = partial(_build_qa, tokenizer_path, settings)
        self._packer = Packer(settings.row_length, tokenizer.pad_id) if settings.packing else None

    def tasks(self) -> Iterator[tuple[list[Record], int]]:
        """See Job.tasks."""
        for path in self._inputs:
            records, done = read_records(path), 0
            while batch := list(islice(records, BATCH_RECORDS)):
                yield batch, batch[-1].bytes_read - done
                done = batch[-1].bytes_read

    def rows(self, result: QaRows) -> Iterator[list[Column]]:
        """See Job.rows."""
        self._report(result)
        if self._packer:
            yield self._packer.add(result)
        else:
            yield [Column(result.ids, result.lengths, self._pad_id), Column(result.labels, result.lengths, IGNORE)]

    def rest(self) -> Iterator[list[Column]]:
        """See Job.rest."""
        if self._packer:
            yield self._packer.rest()

    def _report(self, result: QaRows) -> None:
        if result.bad and self._settings.on_error == "fail":
            raise UserError(f"{result.bad[0].where}: {result.bad[0].reason} (--on_error skip leaves such records out)")
        counts = self.counts
        counts.bad_records += len(result.bad)
        counts.masked_records += len(result.masked)
        counts.truncated_records += result.truncated
        counts.records += len(result.lengths)
        for problem in result.bad:
            counts.report(problem, "left out")
        for problem in result.masked:
            counts.report(problem, "kept without a target" if self._settings.keep_masked else "left out, no target")


def _build_qa(tokenizer: Path, settings: RowSettings) -> Callable[[tuple[list[Record], int]], QaRows]:
    encoder = QaEncoder(load_tokenizer(tokenizer), settings.template, settings.row_length, settings.keep_masked)
    return partial(_encode_records, encoder)


def _encode_records(encoder: QaEncoder, task: tuple[list[Record], int]) -> QaRows:
    return encoder.encode(task[0])
