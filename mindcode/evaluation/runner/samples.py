"""HumanEval as `mindcode predict` asks it: a prompt style, and what the `completion` of a sample holds.

summary = generate_samples(problems, plan, backend, Path("output/samples.jsonl"))
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mindcode.evaluation.postprocess import COMPLETION_FORMS, extract_completion
from mindcode.evaluation.runner.answers import GenerationSummary, Order, collect_answers
from mindcode.evaluation.runner.stored import told
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, make_prompt
from mindcode.evaluation.types import Answer, Backend, Problem, Sampling
from mindcode.utils.lookup import lookup


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


def generate_samples(
    problems: Sequence[Problem], plan: GenerationPlan, backend: Backend, output: Path
) -> GenerationSummary:
    """Append the samples that `output` does not have yet.

    Raises UserError for an unknown style or form, several greedy samples, or a file begun with other settings.
    """
    style = lookup(PROMPT_STYLES, plan.prompt_style, "prompt style")
    form = lookup(COMPLETION_FORMS, plan.completion_form, "completion form")
    by_id = {problem.task_id: problem for problem in problems}
    prompts = {task_id: make_prompt(style, problem) for task_id, problem in by_id.items()}

    def row(answer: Answer) -> dict[str, Any]:
        problem = by_id[answer.task_id]
        completion = extract_completion(problem, prompts[answer.task_id], answer.text)
        return {"completion": form(problem, completion), **told(answer)}

    settings = {
        "prompt_style": plan.prompt_style,
        "prompt_template": asdict(style),
        "completion_form": plan.completion_form,
    }
    order = Order(prompts, plan.n_samples, plan.sampling, plan.seed, settings, row)
    return collect_answers(order, backend, output)
