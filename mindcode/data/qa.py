"""Conversations to rows of token ids and labels; label −100 means that the token is not a target.

With the vicuna format this is, id for id, what MindFormers makes of a conversation, except that it tokenizes a text
once instead of three times and says which rows it would have masked altogether.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindcode.data.conversations import parse_conversation, without_system
from mindcode.data.records import Record
from mindcode.data.targets import Script, script_writer
from mindcode.data.templates import VICUNA_TEMPLATE
from mindcode.data.tokenizer import Encoded, Tokenizer

IGNORE = -100


@dataclass(frozen=True)
class Problem:
    """Something wrong with one record: its place and what."""

    where: str
    reason: str


@dataclass(frozen=True)
class QaRows:
    """Rows of different lengths one after the other, and what happened to the other records.

    `ids` and `labels` are [tokens] int32, `lengths` [rows]. `bad` records were left out; `masked` rows have no target;
    `truncated` counts rows cut at the row length.
    """

    ids: np.ndarray
    labels: np.ndarray
    lengths: np.ndarray
    bad: tuple[Problem, ...]
    masked: tuple[Problem, ...]
    truncated: int


class QaEncoder:
    """Turns records into rows of at most `row_length` tokens (seq_length + 1) in one chat format."""

    def __init__(self, tokenizer: Tokenizer, template: str, row_length: int, keep_masked: bool) -> None:
        """`keep_masked` keeps rows without a target. Raises UserError when the tokenizer cannot serve the template."""
        self._tokenizer, self._row_length, self._keep_masked = tokenizer, row_length, keep_masked
        self._write_script = script_writer(tokenizer, template)
        self._has_system = template != VICUNA_TEMPLATE

    def encode(self, records: Sequence[Record]) -> QaRows:
        """Encode a batch of records; bad ones are reported in the result, not raised."""
        scripts: list[tuple[str, Script]] = []
        bad: list[Problem] = []
        for record in records:
            try:
                scripts.append((record.where, self._script(record)))
            except ValueError as error:
                bad.append(Problem(record.where, str(error)))
        rows: list[tuple[np.ndarray, np.ndarray]] = []
        masked: list[Problem] = []
        truncated = 0
        encoded = iter(self._encode_pieces([script for _, script in scripts]))
        for where, script in scripts:
            ids, labels, reason = self._row(script, [next(encoded) for _ in script.pieces])
            if reason:
                masked.append(Problem(where, reason))
            if not reason or self._keep_masked:
                truncated += len(ids) > self._row_length
                rows.append((ids[: self._row_length], labels[: self._row_length]))
        nothing = np.empty(0, np.int32)
        return QaRows(
            np.concatenate([nothing, *(ids for ids, _ in rows)]),
            np.concatenate([nothing, *(labels for _, labels in rows)]),
            np.array([len(ids) for ids, _ in rows], np.int64),
            tuple(bad),
            tuple(masked),
            truncated,
        )

    def _script(self, record: Record) -> Script:
        if record.error:
            raise ValueError(record.error)
        messages = parse_conversation(record.value)
        return self._write_script(messages if self._has_system else without_system(messages))

    def _encode_pieces(self, scripts: Sequence[Script]) -> list[Encoded]:
        pieces = [piece for script in scripts for piece in script.pieces]
        borders = [[border for span in piece.spans for border in span] for piece in pieces]
        return self._tokenizer.encode_with_borders([piece.text for piece in pieces], borders)

    def _row(self, script: Script, encoded: list[Encoded]) -> tuple[np.ndarray, np.ndarray, str]:
        """The whole row's ids and labels, uncut, and why it has no target, if it has none."""
        ids = self._beginning(script, encoded)
        labels = np.full(len(ids) + sum(len(found.ids) + 1 for found in encoded), IGNORE, np.int32)
        known = len(ids)
        for index, (piece, found) in enumerate(zip(script.pieces, encoded, strict=True)):
            start = len(ids)
            ids += found.ids
            if piece.ends and self._tokenizer.eos_id is not None:
                ids.append(self._tokenizer.eos_id)
            for (first, last), (_, span_end) in zip(_pairs(found.borders), piece.spans, strict=True):
                stop = len(ids) if span_end == len(piece.text) else start + last
                labels[start + first : stop] = ids[start + first : stop]
            known = len(ids) if script.readable is None or index < script.readable else known
        row, labels = np.array(ids, np.int32), labels[: len(ids)]
        reason = self._unusable(script, row, known)
        if reason:
            labels[:] = IGNORE
        elif not (labels[: self._row_length] != IGNORE).any():
            reason = f"no target within the first {self._row_length} tokens"
        return row, labels, reason

    def _beginning(self, script: Script, encoded: list[Encoded]) -> list[int]:
        bos = self._tokenizer.bos_id
        has_bos = encoded[0].ids[:1] == [bos]
        return [bos] if bos is not None and (script.forced_bos or (self._tokenizer.adds_bos and not has_bos)) else []

    def _unusable(self, script: Script, ids: np.ndarray, known: int) -> str:
        """MindFormers' rule: a row that is not full must consist of known rounds and nothing that counts as padding."""
        if script.readable is None or known >= self._row_length:
            return ""
        if known == int(np.count_nonzero(ids != self._tokenizer.pad_id)):
            return ""
        if script.readable < len(script.pieces):
            return f"round {script.readable + 1} is unanswered, or a turn holds ' ASSISTANT: ' or '</s>'"
        return f"a token equals the padding id {self._tokenizer.pad_id}"


def _pairs(borders: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(borders[::2], borders[1::2], strict=True))
