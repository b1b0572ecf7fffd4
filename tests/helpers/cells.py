"""Running a cell in graph mode: its output and the gradients of its inputs and weights, as NumPy arrays."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import ParameterTuple, Tensor, nn, ops

from mindcode.config.model_schema import ModelConfig
from mindcode.model.kernels import Kernels
from mindcode.model.llama import LlamaForCausalLM
from mindcode.model.loss import CausalLMLoss


def forward_and_gradients(
    cell: nn.Cell, inputs: Sequence[Tensor], d_output: np.ndarray, num_differentiated: int
) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Return the output, the gradients of the first inputs, and those of the weights by name, in one compiled graph."""
    weights = ParameterTuple(cell.trainable_params())
    sensitivity = Tensor(d_output.astype(np.float32))

    def weighted_sum(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        output = cell(*arguments)
        return (ops.cast(output, ms.float32) * sensitivity).sum(), output

    places = tuple(range(num_differentiated))
    function = ms.value_and_grad(weighted_sum, places or None, weights if len(weights) else None, has_aux=True)
    (_, output), gradients = ms.jit(function)(*inputs)
    if not len(weights):
        by_input, by_weight = gradients, ()
    elif not places:
        by_input, by_weight = (), gradients
    else:
        by_input, by_weight = gradients
    by_input = by_input if isinstance(by_input, tuple) else (by_input,)
    by_weight = by_weight if isinstance(by_weight, tuple) else (by_weight,)
    named = {weight.name: gradient.asnumpy() for weight, gradient in zip(weights, by_weight, strict=True)}
    return output.asnumpy(), [gradient.asnumpy() for gradient in by_input], named


def network_results(
    config: ModelConfig, kernels: Kernels, weights: dict[str, np.ndarray], input_ids: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray, dict[str, np.ndarray]]:
    """Return the whole network's loss, its logits, and the gradients of its weights by name."""
    model, loss = LlamaForCausalLM(config, kernels), CausalLMLoss(config, kernels)
    set_weights(model, weights)
    parameters = ParameterTuple(model.trainable_params())

    def forward(input_ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(input_ids)
        return loss(logits, input_ids, labels), logits

    (value, logits), gradients = ms.jit(ms.value_and_grad(forward, None, parameters, has_aux=True))(
        Tensor(input_ids, ms.int32), Tensor(labels, ms.int32)
    )
    named = {parameter.name: gradient.asnumpy() for parameter, gradient in zip(parameters, gradients, strict=True)}
    return float(value), logits.asnumpy(), named


def set_weights(cell: nn.Cell, values: dict[str, np.ndarray]) -> None:
    """Put `values` into the cell's parameters; all names must be there."""
    parameters = {parameter.name: parameter for parameter in cell.get_parameters()}
    assert parameters.keys() == values.keys()
    for name, value in values.items():
        parameters[name].set_data(Tensor(value, parameters[name].dtype))
