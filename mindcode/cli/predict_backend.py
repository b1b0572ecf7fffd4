"""The model behind an evaluation, loaded only when something is left to answer."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mindcode.cli.predict_model import build_engine, find_model, identity
from mindcode.config.schema import RunConfig
from mindcode.evaluation.types import Answer, AnswerRequest, Sampling
from mindcode.generation.prompts import PromptEncoder


class DeferredBackend:
    """Knows the files at once, and reads the weights at the first request."""

    def __init__(self, config: RunConfig, model_file: Path | None, template: str, batch_size: int) -> None:
        self._config, self._batch_size = config, batch_size
        self._template = template
        self._loaded = find_model(config, model_file)

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return {**identity(self._loaded), "chat_template": self._template}

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield each answer as soon as it is finished, in any order."""
        from mindcode.evaluation.backends.engine import EngineBackend

        wanted = list(requests)
        engine = build_engine(self._config, self._loaded, min(self._batch_size, len(wanted)))
        encoder = PromptEncoder(self._loaded.tokenizer, self._template)
        return EngineBackend(engine, encoder, self.identity()).answers(wanted, sampling)
