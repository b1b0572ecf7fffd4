"""The loss on evaluation rows: the mean over all their tokens, however they are batched and shared."""

from collections.abc import Callable, Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor

from mindcode.config.model_schema import ModelConfig
from mindcode.data.loader import RowLoader
from mindcode.training.batches import counted_tokens, fill_up, split_rows
from mindcode.utils.errors import UserError


class Evaluator:
    """Runs `network` ((input_ids, labels) -> mean loss of a batch) over every row of a loader.

    `over_replicas` adds up what each replica has for its own rows.
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        over_replicas: Callable[[np.ndarray], np.ndarray],
        loader: RowLoader,
        batch_size: int,
        columns: Sequence[str],
        model: ModelConfig,
    ) -> None:
        self._network, self._over_replicas = network, over_replicas
        self._loader, self._batch_size = loader, batch_size
        self._columns, self._model = columns, model

    def loss(self) -> float:
        """Return the loss in nats; raises UserError when no token of the rows has one."""
        own = np.zeros(2)
        for rows in self._loader.batches(epoch=0):
            batch = fill_up(split_rows(rows, self._columns, self._model), self._batch_size, self._model)
            tokens = counted_tokens(batch, self._model)
            loss = self._network(Tensor(batch.input_ids, ms.int32), Tensor(batch.labels, ms.int32))
            own += float(loss.asnumpy()) * tokens, tokens
        total, count = self._over_replicas(own)
        if count == 0:
            raise UserError("eval_dataset: no token has a label; all rows are padding or masked")
        return float(total / count)
