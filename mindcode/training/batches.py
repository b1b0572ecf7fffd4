"""From rows of seq_length + 1 tokens to what the model sees and what it must predict."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from mindcode.config.model_schema import ModelConfig
from mindcode.data.loader import Batch, RowLoader
from mindcode.training.step import MicroBatch
from mindcode.utils.errors import UserError


class StepBatches:
    """The micro-batches of each optimizer step, from any step on."""

    def __init__(
        self, loader: RowLoader, columns: Sequence[str], model: ModelConfig, micro_batches: int, steps_per_epoch: int
    ) -> None:
        self._loader, self._columns, self._model = loader, columns, model
        self._micro_batches, self._steps_per_epoch = micro_batches, steps_per_epoch

    def from_step(self, step: int) -> Iterator[list[MicroBatch]]:
        """Yield the micro-batches of steps `step`, `step` + 1, ... through one epoch after another, without end."""
        epoch, step = divmod(step, self._steps_per_epoch)
        while True:
            rows = self._loader.batches(epoch, step * self._micro_batches)
            for _ in range(step, self._steps_per_epoch):
                yield [split_rows(next(rows), self._columns, self._model) for _ in range(self._micro_batches)]
            epoch, step = epoch + 1, 0


def check_first(loader: RowLoader, columns: Sequence[str], model: ModelConfig) -> None:
    """Raise UserError when the first micro-batch does not fit the model."""
    for batch in islice(loader.batches(0, 0), 1):
        split_rows(batch, columns, model)


def split_rows(batch: Batch, columns: Sequence[str], model: ModelConfig) -> MicroBatch:
    """Shift rows by one token: ids [B, S + 1] -> input_ids [B, S] and the labels [B, S] of the next tokens.

    Without a labels column every next token is a label. Raises UserError when rows do not fit the model.
    """
    targets = batch.input_ids
    if "labels" in columns:
        if batch.labels is None:
            raise UserError("input_columns: names labels, but the dataset has only input_ids; set it to [input_ids]")
        targets = batch.labels
    length, largest = batch.input_ids.shape[1], int(batch.input_ids.max(initial=0))
    if length != model.seq_length + 1:
        raise UserError(
            f"model.model_config.seq_length: {model.seq_length}, but the dataset's rows have {length} tokens "
            f"(seq_length + 1); set it to {length - 1} or preprocess with --seq_length {model.seq_length}"
        )
    if largest >= model.vocab_size:
        raise UserError(
            f"model.model_config.vocab_size: {model.vocab_size}, but the dataset holds token {largest}; "
            "preprocess it with this model's tokenizer"
        )
    return MicroBatch(
        np.ascontiguousarray(batch.input_ids[:, :-1], np.int32), np.ascontiguousarray(targets[:, 1:], np.int32)
    )


def fill_up(batch: MicroBatch, rows: int, model: ModelConfig) -> MicroBatch:
    """Add rows without any loss until there are `rows`, so that one graph serves the last batch too."""
    missing = ((0, rows - len(batch.input_ids)), (0, 0))
    return MicroBatch(
        np.pad(batch.input_ids, missing, constant_values=model.pad_token_id),
        np.pad(batch.labels, missing, constant_values=model.ignore_token_id),
    )


def counted_tokens(batch: MicroBatch, model: ModelConfig) -> int:
    """How many positions have a loss."""
    return int(np.sum((batch.input_ids != model.pad_token_id) & (batch.labels != model.ignore_token_id)))
