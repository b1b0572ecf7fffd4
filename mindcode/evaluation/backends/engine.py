"""The decoder of this project as the model that an evaluation asks."""

from collections.abc import Iterable, Iterator, Mapping

from mindcode.data.templates import Message
from mindcode.evaluation.types import GREEDY, Answer, AnswerRequest, Prompt, Sampling
from mindcode.generation.engine import Engine
from mindcode.generation.prompts import PromptEncoder, PromptRow
from mindcode.generation.types import Request, SamplingParams


class EngineBackend:
    """Answers requests with an engine; `identity` says which weights, tokenizer and number format it has."""

    def __init__(self, engine: Engine, encoder: PromptEncoder, identity: Mapping[str, str]) -> None:
        self._engine, self._encoder, self._identity = engine, encoder, identity

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers."""
        return self._identity

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield each answer as soon as it is finished, in any order."""
        named = {f"{request.task_id} sample {request.sample}": request for request in requests}
        wanted = [self._request(name, request, sampling) for name, request in named.items()]
        for done in self._engine.generate(wanted):
            request = named[done.id]
            yield Answer(
                task_id=request.task_id,
                sample=request.sample,
                text=done.text,
                finish_reason=done.finish_reason,
                prompt_tokens=done.prompt_tokens,
                answer_tokens=len(done.token_ids),
            )

    def _request(self, name: str, request: AnswerRequest, sampling: Sampling) -> Request:
        ids = self._encoder.encode(prompt_row(name, request.prompt))
        return Request(name, ids, _params(sampling, request.prompt.stop), request.seed)


def prompt_row(name: str, prompt: Prompt) -> PromptRow:
    """Return a prompt as the encoder takes it."""
    messages = tuple(Message(message.role, message.content) for message in prompt.messages)
    gap = None if prompt.suffix is None else (prompt.text, prompt.suffix)
    return PromptRow(name, prompt.text, messages, gap)


def _params(sampling: Sampling, stop: tuple[str, ...]) -> SamplingParams:
    greedy = sampling.temperature == GREEDY
    return SamplingParams(
        max_new_tokens=sampling.max_new_tokens,
        temperature=1.0 if greedy else sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        do_sample=not greedy,
        stop=stop,
    )
