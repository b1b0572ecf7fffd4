"""Asking a model until every answer is on the disk, answer by answer, continued after any kill.

summary = collect_answers(order, backend, Path("output/samples.jsonl"))

Beside the output lies `<output>.settings.json`: what decides the answers. A file that was begun with other settings is
not continued.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.types import GREEDY, Answer, AnswerRequest, Backend, Prompt, Sampling
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import JsonlAppender
from mindcode.utils.progress import Progress
from mindcode.utils.settings import answered, claimed

_SEED_BYTES = 4


@dataclass(frozen=True)
class Order:
    """Which answers are wanted."""

    prompts: Mapping[str, Prompt]
    """task_id -> what the model is given."""
    n_samples: int
    """Answers to each prompt."""
    sampling: Sampling
    seed: int
    settings: Mapping[str, Any]
    """What decides the answers besides seed, sampling and model; a number of samples or of problems does not."""
    row: Callable[[Answer], dict[str, Any]]
    """What is stored of an answer, besides task_id and the sample's number."""


@dataclass(frozen=True)
class GenerationSummary:
    """What a call of `collect_answers` did."""

    kept: int
    """Samples that an earlier call had made."""
    made: int
    cut_off: int
    """New answers that ended at max_new_tokens."""
    answer_tokens: int
    """Tokens in the new answers."""


def collect_answers(order: Order, backend: Backend, output: Path) -> GenerationSummary:
    """Append the answers that `output` does not have yet, each as soon as it is finished, in any order.

    Raises UserError for several greedy samples, for a file begun with other settings, and for one that another
    process is writing.
    """
    finish_reasons, tokens = [], 0
    with begun(order, backend, output) as present:
        requests = [request for request in _requests(order) if (request.task_id, request.sample) not in present]
        with JsonlAppender(output) as appender, Progress("generate", len(requests), "answer") as progress:
            for answer in backend.answers(requests, order.sampling) if requests else ():
                appender.append({"task_id": answer.task_id, "sample": answer.sample, **order.row(answer)})
                progress.advance(1, tokens=answer.answer_tokens)
                finish_reasons.append(answer.finish_reason)
                tokens += answer.answer_tokens
    return GenerationSummary(
        kept=len(order.prompts) * order.n_samples - len(requests),
        made=len(finish_reasons),
        cut_off=finish_reasons.count("length"),
        answer_tokens=tokens,
    )


@contextmanager
def begun(order: Order, backend: Backend, output: Path) -> Iterator[set[tuple[str, int]]]:
    """Hold `output`, whose settings are written or compared; give task_id and number of the samples that are there."""
    check_samples(order.n_samples, order.sampling)
    model = {"seed": order.seed, "sampling": asdict(order.sampling), "model": dict(backend.identity())}
    with claimed(output, {**order.settings, **model}):
        yield answered(output, "task_id")


def sample_seed(seed: int, task_id: str, sample: int) -> int:
    """Return the seed of one sample, in [0, 2^31): it depends on nothing but the three arguments."""
    digest = hashlib.sha256(f"{seed}/{task_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:_SEED_BYTES], "big") >> 1


def check_samples(n_samples: int, sampling: Sampling) -> None:
    """Raise UserError for a number of samples that cannot be drawn."""
    if n_samples < 1:
        raise UserError(f"n_samples is {n_samples}; expected 1 or more")
    if n_samples > 1 and sampling.temperature == GREEDY:
        raise UserError(
            f"n_samples is {n_samples}, but greedy decoding (temperature 0) gives the same answer each time; "
            "set a temperature, 0.2 for pass@1 or 0.8 for pass@100, or n_samples 1"
        )


def _requests(order: Order) -> Iterator[AnswerRequest]:
    for sample in range(order.n_samples):
        for task_id, prompt in order.prompts.items():
            yield AnswerRequest(task_id, sample, prompt, sample_seed(order.seed, task_id, sample))
