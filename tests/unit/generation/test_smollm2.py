"""A real network: greedy answers of SmolLM2-135M-Instruct are those of transformers, token for token."""

import json
from pathlib import Path

import pytest

from mindcode.checkpoint.convert import select_weights
from mindcode.checkpoint.dtypes import to_float32
from mindcode.checkpoint.gguf_tokenizer import write_gguf_tokenizer
from mindcode.checkpoint.sources.open import open_source
from mindcode.config.loader import load_config
from mindcode.data.templates import Message
from mindcode.data.tokenizer import load_tokenizer
from mindcode.generation.engine import Engine
from mindcode.generation.executor import Executor
from mindcode.generation.prompts import PromptEncoder, PromptRow
from mindcode.generation.types import Request, SamplingParams

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("graph_mode")]


def test_greedy_answers_equal_transformers(smollm2_gguf: Path, repository: Path, tmp_path: Path) -> None:
    golden = json.loads((repository / "tests" / "golden" / "generation_smollm2.json").read_text(encoding="utf-8"))
    config = load_config(
        repository / "configs" / "smollm2" / "predict_smollm2_135m.yaml", [("load_checkpoint", str(smollm2_gguf))]
    ).model.model_config
    write_gguf_tokenizer(smollm2_gguf, tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    encoder = PromptEncoder(tokenizer, "")
    weights = {
        name: to_float32(tensor.read(), tensor.dtype)
        for name, tensor in select_weights(open_source(smollm2_gguf), config)
    }
    engine = Engine(Executor(config, weights, batch_size=4, cache_length=512, lanes=8), config, tokenizer, 512)
    requests = []
    for row in golden:
        ids = encoder.encode(PromptRow(row["task_id"], messages=(Message("user", row["question"]),)))
        assert list(ids) == row["prompt_ids"]
        requests.append(Request(row["task_id"], ids, SamplingParams(max_new_tokens=64)))
    answers = {completion.id: completion.token_ids for completion in engine.generate(requests)}
    for row in golden:
        assert list(answers[row["task_id"]][: len(row["tokens"])]) == row["tokens"], row["task_id"]
