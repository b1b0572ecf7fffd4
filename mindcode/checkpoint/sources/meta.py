"""Meta's folders as a source: params.json, consolidated.NN.pth, and the rules by which the shards were cut.

Column-parallel weights (wq, wk, wv, w1, w3, output) are cut along the rows, row-parallel ones (wo, w2) along the
columns, norms are repeated. The embedding was cut along the columns up to Llama 2 and along the rows since Llama 3; its
shape tells. Query and key rows are in interleaved pairs within each head.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindcode.checkpoint.names import EMBEDDING, HEAD, is_rotary_table, translate
from mindcode.checkpoint.sources.types import Source
from mindcode.checkpoint.stated_sizes import stated_sizes
from mindcode.checkpoint.tensors import LazyTensor, in_half_rotation, joined_columns, joined_rows
from mindcode.checkpoint.torch_file import read_torch
from mindcode.config.model_schema import ModelConfig
from mindcode.utils.errors import UserError
from mindcode.utils.json_file import read_json

_BY_COLUMNS = ("attention.wo.weight", "feed_forward.w2.weight")
_LLAMA3_LENGTH = 8192
_PERMUTED = ("attention.wq.weight", "attention.wk.weight")


def open_meta(path: Path) -> Source:
    """Open a folder with consolidated.*.pth and params.json, or one of these files."""
    folder = path if path.is_dir() else path.parent
    files = sorted(folder.glob("consolidated.*.pth"))
    if not files:
        raise UserError(f"{folder}: no consolidated.*.pth here")
    params_file = folder / "params.json"
    if not params_file.is_file():
        raise UserError(f"{params_file}: no such file; Meta's weights need it for the number of heads")
    shards = [read_torch(file) for file in files]
    for file, shard in zip(files, shards, strict=True):
        different = sorted(set(shard) ^ set(shards[0]))
        if different:
            raise UserError(f"{file}: {different[0]!r} is not in every shard; fetch all of them again")
    params = _Params(read_json(params_file, "; fetch it again"), params_file)
    joined: dict[str, LazyTensor] = {}
    unknown = []
    for name in shards[0]:
        ours = translate(name, "meta", "ours")
        if ours:
            joined[ours] = _join(ours, [shard[name] for shard in shards], params.hidden_size)
        elif not is_rotary_table(name):
            unknown.append(name)
    config = params.config(joined)
    tensors = {n: in_half_rotation(t, config.head_dim) if n.endswith(_PERMUTED) else t for n, t in joined.items()}
    return Source(path, config, tensors, tuple(unknown), tuple(files))


class _Params:
    """params.json: a few sizes; the others follow from the shapes."""

    def __init__(self, data: dict[str, Any], path: Path) -> None:
        missing = [key for key in ("dim", "n_layers", "n_heads") if not isinstance(data.get(key), int)]
        if missing:
            raise UserError(f"{path}: no {missing[0]} in it; fetch it again")
        self._data = data
        self.path = path
        self.hidden_size: int = data["dim"]

    def config(self, tensors: dict[str, LazyTensor]) -> ModelConfig:
        """Sizes of the network; vocabulary and feed-forward width are those of the tensors."""
        for name in (EMBEDDING, "model.layers.0.feed_forward.w1.weight"):
            if name not in tensors:
                raise UserError(f"{self.path.parent}: {translate(name, 'ours', 'meta')} is missing; fetch it again")
        data = self._data
        rows = tensors[EMBEDDING].shape[0]
        bos, eos = (128000, 128001) if rows >= 128000 else (1, 2)
        sizes = {
            "hidden_size": self.hidden_size,
            "num_layers": data["n_layers"],
            "num_heads": data["n_heads"],
            "n_kv_heads": data.get("n_kv_heads"),
            "vocab_size": rows,
            "intermediate_size": tensors["model.layers.0.feed_forward.w1.weight"].shape[0],
            "rms_norm_eps": data.get("norm_eps"),
            "theta": data.get("rope_theta"),
            "tie_word_embeddings": HEAD not in tensors,
            "bos_token_id": bos,
            "eos_token_id": eos,
        }
        if data.get("use_scaled_rope"):
            factor = data.get("rope_scaling_factor", 8.0)
            scaling = {"factor": factor, "original_max_position_embedding": _LLAMA3_LENGTH}
            sizes |= {"extend_method": "LLAMA3", "scaling_factor": scaling}
        return stated_sizes(sizes, self.path)


def _join(name: str, parts: Sequence[LazyTensor], hidden_size: int) -> LazyTensor:
    if len(parts) == 1 or len(parts[0].shape) == 1:
        return parts[0]
    if name.endswith(_BY_COLUMNS) or (name == EMBEDDING and parts[0].shape[1] * len(parts) == hidden_size):
        return joined_columns(parts)
    return joined_rows(parts)
