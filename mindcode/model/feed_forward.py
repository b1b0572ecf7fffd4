"""The feed-forward layer of Llama: SwiGLU (Shazeer 2020), w2(silu(w1 x) · w3 x)."""

from mindspore import Tensor, nn, ops
from mindspore.ops.auto_generate import SiLU

from mindcode.config.model_schema import ModelConfig
from mindcode.model.dtypes import Dtypes
from mindcode.model.leaves import Linear


class FeedForward(nn.Cell):
    """x [T, D] -> [T, D], through two hidden vectors of width F: w1 is the gate, w3 goes up, w2 comes down."""

    def __init__(self, config: ModelConfig, dtypes: Dtypes) -> None:
        super().__init__()
        self.w1 = Linear(config.hidden_size, config.ffn_size, dtypes.param, dtypes.compute)
        self.w2 = Linear(config.ffn_size, config.hidden_size, dtypes.param, dtypes.compute)
        self.w3 = Linear(config.hidden_size, config.ffn_size, dtypes.param, dtypes.compute)
        self.silu = SiLU()
        self.mul = ops.Mul()

    def construct(self, x_TD: Tensor) -> Tensor:
        return self.w2(self.mul(self.silu(self.w1(x_TD)), self.w3(x_TD)))
