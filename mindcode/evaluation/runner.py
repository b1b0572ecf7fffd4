"""Generating samples: problems to requests to a model to samples.jsonl, sample by sample, continued after any kill.

summary = generate_samples(problems, plan, backend, Path("output/samples.jsonl"))

Beside `samples.jsonl` lies `samples.jsonl.settings.json`: what decides the answers. A file that was begun with other
settings is not continued.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.postprocess import COMPLETION_FORMS, extract_completion
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, make_prompt
from mindcode.evaluation.types import GREEDY, Answer, AnswerRequest, Backend, Problem, Prompt, Sampling
from mindcode.utils.errors import UserError
from mindcode.utils.jsonl import JsonlAppender
from mindcode.utils.lookup import lookup
from mindcode.utils.progress import Progress
from mindcode.utils.settings import answered, claim

_SEED_BYTES = 4


@dataclass(frozen=True)
class GenerationPlan:
    """How samples are made."""

    sampling: Sampling
    prompt_style: str = "chat"
    """A name in tasks.prompts.PROMPT_STYLES."""
    completion_form: str = "continuation"
    """A name in postprocess.COMPLETION_FORMS."""
    n_samples: int = 1
    """Samples per problem."""
    seed: int = 0


@dataclass(frozen=True)
class GenerationSummary:
    """What a call of `generate_samples` did."""

    kept: int
    """Samples that an earlier call had made."""
    made: int
    cut_off: int
    """New answers that ended at max_new_tokens."""
    answer_tokens: int
    """Tokens in the new answers."""


def generate_samples(
    problems: Sequence[Problem], plan: GenerationPlan, backend: Backend, output: Path
) -> GenerationSummary:
    """Append the samples that `output` does not have yet, each as soon as it is finished, in any order.

    Raises UserError for an unknown style or form, several greedy samples, or a file begun with other settings.
    """
    _check(plan)
    claim(output, _settings(plan, backend))
    prompts = _prompts(problems, plan)
    present = answered(output, "task_id")
    requests = [request for request in _requests(prompts, plan) if (request.task_id, request.sample) not in present]
    by_id = {problem.task_id: problem for problem in problems}
    finish_reasons, tokens = [], 0
    with JsonlAppender(output) as appender, Progress("generate", len(requests), "answer") as progress:
        for answer in backend.answers(requests, plan.sampling) if requests else ():
            row = _row(by_id[answer.task_id], prompts[answer.task_id], answer, plan)
            appender.append(row)
            progress.advance(1, tokens=answer.answer_tokens)
            finish_reasons.append(answer.finish_reason)
            tokens += answer.answer_tokens
    return GenerationSummary(
        kept=len(prompts) * plan.n_samples - len(requests),
        made=len(finish_reasons),
        cut_off=finish_reasons.count("length"),
        answer_tokens=tokens,
    )


def sample_seed(seed: int, task_id: str, sample: int) -> int:
    """Return the seed of one sample, in [0, 2^31): it depends on nothing but the three arguments."""
    digest = hashlib.sha256(f"{seed}/{task_id}/{sample}".encode()).digest()
    return int.from_bytes(digest[:_SEED_BYTES], "big") >> 1


def _check(plan: GenerationPlan) -> None:
    lookup(PROMPT_STYLES, plan.prompt_style, "prompt style")
    lookup(COMPLETION_FORMS, plan.completion_form, "completion form")
    if plan.n_samples < 1:
        raise UserError(f"n_samples is {plan.n_samples}; expected 1 or more")
    if plan.n_samples > 1 and plan.sampling.temperature == GREEDY:
        raise UserError(
            f"n_samples is {plan.n_samples}, but greedy decoding (temperature 0) gives the same answer each time; "
            "set a temperature, 0.2 for pass@1 or 0.8 for pass@100, or n_samples 1"
        )


def _prompts(problems: Sequence[Problem], plan: GenerationPlan) -> dict[str, Prompt]:
    style = PROMPT_STYLES[plan.prompt_style]
    return {problem.task_id: make_prompt(style, problem) for problem in problems}


def _requests(prompts: Mapping[str, Prompt], plan: GenerationPlan) -> Iterator[AnswerRequest]:
    for sample in range(plan.n_samples):
        for task_id, prompt in prompts.items():
            yield AnswerRequest(task_id, sample, prompt, sample_seed(plan.seed, task_id, sample))


def _row(problem: Problem, prompt: Prompt, answer: Answer, plan: GenerationPlan) -> dict[str, Any]:
    completion = extract_completion(problem, prompt, answer.text)
    return {
        "task_id": answer.task_id,
        "completion": COMPLETION_FORMS[plan.completion_form](problem, completion),
        "sample": answer.sample,
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "answer_tokens": answer.answer_tokens,
    }


def _settings(plan: GenerationPlan, backend: Backend) -> dict[str, Any]:
    """Everything that decides an answer; the number of samples and the choice of problems do not."""
    style = PROMPT_STYLES[plan.prompt_style]
    return {
        "prompt_style": plan.prompt_style,
        "prompt_template": asdict(style),
        "completion_form": plan.completion_form,
        "seed": plan.seed,
        "sampling": asdict(plan.sampling),
        "model": dict(backend.identity()),
    }
