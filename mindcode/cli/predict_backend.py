"""The model behind an evaluation, loaded only when something is left to answer."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mindcode.cli.predict_model import build_engine, find_model, identity
from mindcode.cli.predict_team import Team
from mindcode.config.schema import RunConfig
from mindcode.data.templates import OWN_TEMPLATE, find_template
from mindcode.data.tokenizer import Tokenizer
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES
from mindcode.evaluation.types import Answer, AnswerRequest, Sampling
from mindcode.generation.prompts import NO_TEMPLATE, PromptEncoder
from mindcode.utils.errors import UserError


def chosen_template(tokenizer: Tokenizer, asked: str) -> str:
    """Return the chat template asked for; if none is, the tokenizer's own, or NO_TEMPLATE."""
    return asked or (OWN_TEMPLATE if tokenizer.chat_template else NO_TEMPLATE)


def check_chat(tokenizer: Tokenizer, path: Path, template: str, asked: str, instead: str) -> None:
    """Raise UserError unless there is a chat template, which `asked` needs."""
    chosen = chosen_template(tokenizer, template)
    if chosen == NO_TEMPLATE:
        raise UserError(
            f"{asked}: {path} has no chat template; give {instead}, or for an instruct model --chat_template "
            "codellama-instruct"
        )
    find_template(tokenizer, chosen)


class DeferredBackend:
    """Knows the files at once, and reads the weights at the first request."""

    def __init__(self, config: RunConfig, team: Team, model_file: Path | None, template: str, batch_size: int) -> None:
        self._config, self._team, self._batch_size = config, team, batch_size
        self._template = template
        self._loaded = find_model(config, model_file, team.weights)

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return {**identity(self._loaded), "chat_template": self._template}

    def prompt_style(self, asked: str) -> str:
        """Return the style asked for; if none is, `chat` where there is a chat template, else `completion`.

        Raises UserError for a chat without a template.
        """
        style = asked or (
            "completion" if chosen_template(self._loaded.tokenizer, self._template) == NO_TEMPLATE else "chat"
        )
        if PROMPT_STYLES[style].question:
            self.check_chat(f"--prompt_style {style}", "--prompt_style completion")
        return style

    def check_chat(self, asked: str, instead: str) -> None:
        """Raise UserError unless there is a chat template, which `asked` needs."""
        check_chat(self._loaded.tokenizer, self._loaded.tokenizer_path, self._template, asked, instead)

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield each answer as soon as it is finished, in any order."""
        from mindcode.evaluation.backends.engine import EngineBackend

        wanted = list(requests)
        engine = build_engine(self._team, self._config, self._loaded, min(self._batch_size, len(wanted)))
        encoder = PromptEncoder(self._loaded.tokenizer, self._template)
        return EngineBackend(engine, encoder, self.identity()).answers(wanted, sampling)
