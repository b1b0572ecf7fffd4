"""The sizes that a file of weights states: values of unknown types become a checked ModelConfig."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindcode.config.document import Entry
from mindcode.config.model_schema import ModelConfig
from mindcode.config.schema import ModelSection, RunConfig
from mindcode.config.typed import build
from mindcode.config.validate import MODEL, problems
from mindcode.utils.errors import UserError

_SEQ_LENGTH = 2048


def stated_sizes(values: Mapping[str, Any], path: Path) -> ModelConfig:
    """Return the sizes under ModelConfig's names; None stands for a value that `path` does not state.

    A model without a padding id (or with a negative one) pads with <unk> (0) in Llama's vocabulary, else with its end
    mark. Rows are as long as the positions allow, but at most 2048. Raises UserError for a value of another type, and
    for sizes that no network has.
    """
    config = build(ModelConfig, _entry(values, str(path)))
    if not config.eos_token_ids:
        raise UserError(f"{path}: eos_token_id: an empty list, expected the id that ends a text")
    if values.get("pad_token_id") is None or config.pad_token_id < 0:
        config = dataclasses.replace(config, pad_token_id=0 if config.bos_token_id == 1 else config.eos_token_ids[0])
    config = dataclasses.replace(config, seq_length=min(config.max_position_embedding or _SEQ_LENGTH, _SEQ_LENGTH))
    for problem in problems(RunConfig(model=ModelSection(config))):
        if problem.key.startswith(MODEL):
            raise UserError(f"{path}: {problem.key.removeprefix(f'{MODEL}.')}: {problem.message}")
    return config


def _entry(value: Any, where: str) -> Entry:
    """A value of JSON as the tree that a YAML file is read into."""
    if isinstance(value, Mapping):
        return Entry({str(key): _entry(item, where) for key, item in value.items()}, where)
    if isinstance(value, list | tuple):
        return Entry([_entry(item, where) for item in value], where)
    return Entry(None if value is None else str(value), where)
