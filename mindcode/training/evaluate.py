"""The loss on evaluation rows: the mean over all their tokens, whatever the batches."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Tensor, nn

from mindcode.config.model_schema import ModelConfig
from mindcode.data.loader import RowLoader
from mindcode.training.batches import counted_tokens, fill_up, split_rows
from mindcode.utils.errors import UserError


class Evaluator:
    """Runs `network` ((input_ids, labels) -> mean loss of a batch) over every row of a loader."""

    def __init__(
        self, network: nn.Cell, loader: RowLoader, batch_size: int, columns: Sequence[str], model: ModelConfig
    ) -> None:
        self._network, self._loader, self._batch_size = network, loader, batch_size
        self._columns, self._model = columns, model

    def loss(self) -> float:
        """Return the loss in nats; raises UserError when no token of the rows has one."""
        total, count = 0.0, 0
        for rows in self._loader.batches(epoch=0):
            batch = fill_up(split_rows(rows, self._columns, self._model), self._batch_size, self._model)
            tokens = counted_tokens(batch, self._model)
            loss = self._network(Tensor(batch.input_ids, ms.int32), Tensor(batch.labels, ms.int32))
            total, count = total + float(loss.asnumpy()) * tokens, count + tokens
        if count == 0:
            raise UserError("eval_dataset: no token has a label; all rows are padding or masked")
        return total / count
